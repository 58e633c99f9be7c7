import type { TensorShapes } from './view.ts';

/** Networks that people take for U-GAT-IT's, told by names of their tensors. */

/** Each with a name that no other has. */
const RELATIVES: readonly { readonly name: string; readonly mark: RegExp }[] = [
  { name: 'photo2cartoon', mark: /(^|\.)HourGlass\d+\.HG\./ },
  { name: 'NICE-GAN', mark: /(^|\.)(UpBlock0\.\d|Dis[01]_[01]\.\d)/ },
  { name: 'CycleGAN', mark: /(^|\.)model\.\d+\.conv_block\.\d+\.weight$/ },
];

/** The project whose network a file seems to hold. */
export function findRelative(view: TensorShapes): string | undefined {
  const names = view.names();
  return RELATIVES.find(({ mark }) => names.some((name) => mark.test(name)))?.name;
}
