/** The program behind download.ts: gets all objects of a store in a bucket and drops them. */
import { openS3Backend } from '../store/backends/s3.node.ts';

const AT_A_TIME = 64;

const [url = ''] = process.argv.slice(2);
const backend = await openS3Backend(url, { environment: process.env });
const keys: string[] = [];
for await (const { key } of backend.list('')) keys.push(key);
let byteCount = 0;
const turns = Array.from({ length: AT_A_TIME }, async () => {
  for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
    byteCount += (await backend.get(key)).length;
  }
});
await Promise.all(turns);
await backend.close();
console.log(`${byteCount} bytes`);
