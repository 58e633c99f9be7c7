import { existsSync, readFileSync } from 'node:fs';

/** Fields of /etc/os-release; empty elsewhere than on Linux. */
function release(): Map<string, string> {
  const file = '/etc/os-release';
  if (!existsSync(file)) return new Map();
  const lines = readFileSync(file, 'utf8').matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
  return new Map([...lines].map(([, name, value]) => [name, value]));
}

/** The command that installs Mesa's Vulkan driver here; `.ci/setup.sh` runs the same. */
function linuxDriver(fields: Map<string, string>): string {
  const family = `${fields.get('ID')} ${fields.get('ID_LIKE')}`;
  const has = (...names: string[]) => names.some((name) => family.split(' ').includes(name));
  if (has('alpine')) return "nothing: Alpine's C library (musl) cannot load Dawn, which is built for glibc";
  const packages = 'mesa-vulkan-drivers libvulkan1';
  if ((fields.get('DEBIAN_CODENAME') ?? fields.get('VERSION_CODENAME')) === 'bookworm') {
    return `sudo apt-get install -t bookworm-backports ${packages} (Dawn refuses Mesa 22 of bookworm itself)`;
  }
  if (has('debian', 'ubuntu')) return `sudo apt-get install ${packages}`;
  if (has('fedora', 'rhel')) return 'sudo dnf install mesa-vulkan-drivers vulkan-loader';
  if (has('arch')) return 'sudo pacman -S vulkan-swrast vulkan-icd-loader';
  return "a Vulkan loader and Mesa's Vulkan drivers, by hand";
}

/** What to install on this system to get an adapter, one sentence a line. */
export function driverAdvice(): string[] {
  if (process.platform === 'darwin') return ['macOS needs nothing (Metal): update it to 13 or later.'];
  if (process.platform === 'win32')
    return ["Windows: install the graphics card's current driver (Direct3D 12)."];
  return [
    `Without a GPU: \`npm run setup\`, which installs ${linuxDriver(release())}.`,
    "With an NVIDIA card: NVIDIA's driver and its Vulkan part (containers: NVIDIA_DRIVER_CAPABILITIES=all).",
    'With an AMD or Intel card: the same Mesa package, and read access to /dev/dri (group render).',
  ];
}
