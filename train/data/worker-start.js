// The only JavaScript file: Node 20 ignores `--import tsx` in a thread's execArgv, so a thread registers tsx
// itself before it can import TypeScript.
import { register } from 'tsx/esm/api';

register();
await import('./worker.ts');
