import test from 'ava';
import { openS3Backend } from '../../../store/backends/s3.node.ts';
import { backendSuite } from '../../conformance/backend.ts';
import {
  GATEWAY_COMMANDS,
  gatewaySettings,
  gatewayUrl,
  hasGateway,
  makeBucket,
} from '../../helpers/radosgw.ts';
import { missingRequirements } from '../../helpers/requirements.ts';

async function openBucket(folder: string) {
  const bucket = await makeBucket();
  return openS3Backend(await gatewayUrl(bucket + folder), await gatewaySettings());
}

if (missingRequirements({ commands: GATEWAY_COMMANDS }).length === 0) {
  backendSuite('S3', () => openBucket(''));
  backendSuite('S3, in a folder', () => openBucket('/some/folder'));
} else test('S3', (t) => void hasGateway(t));
