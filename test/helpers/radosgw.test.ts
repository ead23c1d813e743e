import test from 'ava';
import { askGateway, gateway, hasGateway, makeBucket } from './radosgw.ts';

test('the gateway stores for those whom it knows', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  t.is((await askGateway('PUT', `/${bucket}/object`, {}, 'content')).status, 200);
  t.like(await askGateway('GET', `/${bucket}/object`), { status: 200, text: 'content' });
  const { endpoint } = await gateway();
  t.is((await fetch(`${endpoint}/${bucket}/object`)).status, 403);
});

test('each bucket is new and empty', async (t) => {
  if (!hasGateway(t)) return;
  const [one, other] = [await makeBucket(), await makeBucket()];
  t.not(one, other);
  const { text } = await askGateway('GET', `/${one}`, { 'list-type': '2' });
  t.regex(text, /<KeyCount>0<\/KeyCount>/);
});
