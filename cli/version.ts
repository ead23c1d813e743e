/** The version of this package, taken from package.json when the command is bundled. */
import packageJson from '../package.json' with { type: 'json' };

export const VERSION: string = packageJson.version;
