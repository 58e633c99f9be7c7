/** `convert IN OUT`: checkpoints between PyTorch's .pt and safetensors (see train/formats/convert.ts). */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { type ConvertOptions, convert } from '../train/formats/convert.ts';
import { weightsFile } from '../train/weights.ts';
import { checkValues, failWithUsage, runCli } from './common/run.ts';

interface Arguments extends ConvertOptions {
  in: string;
  out: string;
}

async function main(args: string[]): Promise<void> {
  const argv = await yargs(args)
    .scriptName('npx tsx cli/convert.ts')
    .usage('$0 IN OUT\n\nConverts a checkpoint; the ending of OUT (.pt or .safetensors) says to what.')
    .command('$0 <in> <out>', false, (command) =>
      command
        .positional('in', {
          type: 'string',
          demandOption: true,
          describe: "any .pt or .safetensors file, or a run's folder (its newest checkpoint)",
        })
        .positional('out', { type: 'string', demandOption: true, describe: 'file to write' }),
    )
    .option('net', {
      group: 'How:',
      type: 'string',
      describe: 'write this network alone, under its bare names',
    })
    .option('legacy', {
      group: 'How:',
      type: 'boolean',
      default: false,
      describe: "OUT in PyTorch's format before 1.6",
    })
    .option('keep-all', {
      group: 'How:',
      type: 'boolean',
      default: false,
      describe: 'keep optimiser state and metadata',
    })
    .option('key', {
      group: 'How:',
      type: 'string',
      describe: 'take only what IN holds below this key, such as ema',
    })
    .option('force', {
      group: 'How:',
      type: 'boolean',
      default: false,
      describe: 'replace OUT where it exists',
    })
    .example('$0 selfie2anime_params_0100000.pt anime.safetensors', "the authors' checkpoint to safetensors")
    .example('$0 latest.safetensors face.safetensors --net genA2B', 'one generator, to translate pictures')
    .example('$0 latest.safetensors selfie2anime_params_0000100.pt', "back to the authors' PyTorch code")
    .check(checkValues)
    .wrap(110)
    .version(false)
    .strict()
    .fail(failWithUsage)
    .parseAsync();
  const { in: from, out: to, net, legacy, keepAll, key, force } = argv as unknown as Arguments;
  const file = await weightsFile(from, (message) => console.error(message));
  const warn = (message: string) => console.error(`warning: ${message}`);
  const count = await convert(file, to, { net, legacy, keepAll, key, force, warn });
  console.log(`${to}: ${count} tensors`);
}

runCli(() => main(hideBin(process.argv)));
