/** Loads the optional packages that S3 needs, and says so if they are not there. */
import { CasError } from '../../formats/errors.ts';
import { systemErrorCode } from '../system-error.node.ts';

/** @throws CasError `UNSUPPORTED` if the package is not installed */
export async function loadOptional<Module>(
  name: string,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw cause;
    const reason = `S3 needs the optional package ${name}, which is not installed.`;
    throw new CasError('UNSUPPORTED', { reason, cause });
  }
}
