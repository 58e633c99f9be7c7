import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { Device } from './device.ts';

/** Memory an adapter can use, and who says so. WebGPU itself does not tell. */
export interface AdapterMemory {
  readonly bytes: number;
  readonly source: string;
}

/** The part of a Mac's memory that Metal lets the GPU have. */
const METAL_SHARE = 0.75;

/** Dawn writes `nvidia-h100-80gb-hbm3`, nvidia-smi `NVIDIA H100 80GB HBM3`. */
const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '');

async function nvidia(name: string): Promise<AdapterMemory | null> {
  const query = ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits'];
  const { stdout } = await promisify(execFile)('nvidia-smi', query, { timeout: 10_000 });
  for (const line of stdout.trim().split('\n')) {
    const [card, mib] = line.split(/,\s*/);
    if (plain(name).includes(plain(card))) return { bytes: Number(mib) * 2 ** 20, source: 'nvidia-smi' };
  }
  return null;
}

/** Video memory as the amdgpu driver shows it; only where there is one card. */
async function amd(): Promise<AdapterMemory | null> {
  const folder = '/sys/class/drm';
  const cards = (await readdir(folder)).filter((card) => /^card\d+$/.test(card));
  const file = 'device/mem_info_vram_total';
  const sizes = await Promise.all(
    cards.map((c) => readFile(`${folder}/${c}/${file}`, 'utf8').catch(() => '')),
  );
  const known = sizes.map(Number).filter((bytes) => bytes > 0);
  return known.length === 1 ? { bytes: known[0], source: 'amdgpu' } : null;
}

/** Memory the device's adapter can use for us, or null where nobody knows. */
export async function adapterMemory(device: Device): Promise<AdapterMemory | null> {
  if (device.isCpu) {
    const limit = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
    return { bytes: Math.min(freemem(), limit), source: 'free memory of this machine' };
  }
  if (process.platform === 'darwin') {
    return { bytes: totalmem() * METAL_SHARE, source: `${METAL_SHARE * 100} % of this machine's memory` };
  }
  const { vendor, device: model } = device.info;
  const name = `${vendor} ${model} ${device.name}`;
  if (/nvidia/i.test(name)) return nvidia(name).catch(() => null);
  if (/amd|radeon/i.test(name)) return amd().catch(() => null);
  return null;
}
