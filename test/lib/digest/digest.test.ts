import test from 'ava';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import { createPortableDigest } from '../../../lib/digest/digest.ts';
import { createNativeDigest } from '../../../lib/digest/digest-openssl.node.ts';
import { digestSuite } from '../../conformance/digest.ts';
import { requirement } from '../../helpers/requirements.ts';

for (const name of ['sha512-256', 'sha256'] as const) {
  digestSuite(`portable ${name}`, createPortableDigest(name));
  digestSuite(`chosen ${name}`, createDigest(name));
  const native = createNativeDigest(name);
  if (native !== undefined) digestSuite(`node ${name}`, native);

  test(`node has ${name}`, (t) => {
    if (!requirement(t, { conditions: { [`OpenSSL with ${name}`]: native !== undefined } })) return;
    t.is(native?.name, name);
  });
}
