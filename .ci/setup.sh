#!/bin/sh
# Sets up what `npm run demo` and `npm test` need; both call it first. It does three things, each only
# if it has to, and says so: checks Node, installs the npm packages of package-lock.json, and on Linux
# installs Mesa's Vulkan driver, which runs on the CPU too, when Dawn finds no adapter. A second run does
# nothing, in some hundredths of a second.
# What was done is remembered in node_modules, so `npm ci` or a removed node_modules start it afresh.
#
# On Windows run npm from Git Bash (cmd.exe has no `sh`) or from WSL; Dawn uses Direct3D there, Metal on
# macOS, and neither needs a driver from us. XDG_RUNTIME_DIR need not be set: should Mesa complain that it
# is not, that is about windows on a screen, and we open none.
set -eu
cd "$(dirname "$0")/.."

node_wanted=20.19 # vite 8 and yargs 18 need it
packages_stamp=node_modules/.adawn-packages
adapter_stamp=node_modules/.adawn-adapter

say() { echo "setup: $*"; }
fail() {
  echo "setup: $*" >&2
  exit 1
}

check_node() {
  found=$(node -v 2>/dev/null) || fail "no Node.js found; install $node_wanted or later (https://nodejs.org)"
  major=${found#v}
  minor=${major#*.}
  major=${major%%.*}
  minor=${minor%%.*}
  [ $((major * 1000 + minor)) -ge $((${node_wanted%.*} * 1000 + ${node_wanted#*.})) ] ||
    fail "Node $found is too old; install Node $node_wanted or later (https://nodejs.org)"
}

# A stamp holds what the work depended on; it is out of date when that changed.
fresh() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

install_packages() {
  wanted="$(uname -sm) node ${found%%.*} $(cksum <package-lock.json)"
  fresh "$packages_stamp" "$wanted" && return 0
  say "npm ci: installing the packages of package-lock.json into node_modules"
  # --include=dev: the tests are wanted even where NODE_ENV=production or omit=dev is set.
  npm ci --include=dev --no-audit --no-fund --no-update-notifier --loglevel=error ||
    fail "npm ci failed; the reason is above (a first set-up needs the npm registry)"
  echo "$wanted" >"$packages_stamp"
  did=1
}

# The drivers that the Vulkan loader would see, with size and date, so that a changed driver is probed.
drivers() {
  # shellcheck disable=SC2012
  echo "$(cat "$packages_stamp") ${VK_ICD_FILENAMES-} ${VK_DRIVER_FILES-}" "$(ls -l /etc/vulkan/icd.d \
    /usr/share/vulkan/icd.d /usr/local/share/vulkan/icd.d 2>/dev/null | cksum)"
}

probe() {
  adapter=$(node .ci/probe.mjs 2>&1) || return 1
  drivers >"$adapter_stamp"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

may_install() {
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null 2>&1 || return 1
  sudo -n true 2>/dev/null || [ -t 0 ] # else sudo would ask for a password and nobody would answer
}

# Debian 12's own Mesa 22 is refused by Dawn ("shaderUniform*ArrayDynamicIndexing required");
# bookworm-backports has Mesa 25. Nothing is taken from backports unless asked for by name, so the source
# can stay, and brings Mesa's updates.
add_backports() {
  list=/etc/apt/sources.list.d/adawn-backports.list
  grep -rqs '^[^#]*bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d && return 0
  say "adding the apt source bookworm-backports in $list (delete the file to undo)"
  echo 'deb http://deb.debian.org/debian bookworm-backports main' | as_root tee "$list" >/dev/null
}

apt_install() {
  # A failing update (a foreign source that is down) is no reason to stop: the installation will tell.
  as_root apt-get -qq update || say "apt-get update complained; going on"
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@"
}

# retry COMMAND...: tried again for some minutes, because another process may hold the lock of the package
# manager (an automatic update, say) or a mirror may not answer. Its output is shown when it fails.
retry() {
  for pause in 5 10 20 40 80 stop; do
    "$@" >"$log" 2>&1 && return 0
    cat "$log" >&2
    [ "$pause" = stop ] && return 1
    say "that failed; again in $pause s"
    sleep "$pause"
  done
}

install_driver() {
  ID='' ID_LIKE='' VERSION_CODENAME='' DEBIAN_CODENAME=''
  # shellcheck source=/dev/null
  [ -r /etc/os-release ] && . /etc/os-release
  case " $ID $ID_LIKE " in
    *' alpine '*) fail "Alpine's C library (musl) cannot load Dawn, which is built for glibc" ;;
    *' debian '* | *' ubuntu '*) set -- apt_install mesa-vulkan-drivers libvulkan1 ;;
    *' fedora '* | *' rhel '*) set -- as_root dnf -y install mesa-vulkan-drivers vulkan-loader ;;
    *' arch '*) set -- as_root pacman -Sy --needed --noconfirm vulkan-swrast vulkan-icd-loader ;;
    *) fail "unknown Linux '$ID': install a Vulkan loader and Mesa's Vulkan drivers by hand" ;;
  esac
  [ "${DEBIAN_CODENAME:-$VERSION_CODENAME}" != bookworm ] ||
    set -- apt_install -t bookworm-backports mesa-vulkan-drivers libvulkan1
  what=$(echo "$*" | sed 's/^apt_install/apt-get install/; s/^as_root //')
  may_install || fail "that needs root, and this is not root, nor can it use sudo. As root: $what"
  [ "$2" != -t ] || add_backports
  say "as root: $what"
  log=$(mktemp)
  retry "$@" || fail "the Vulkan driver could not be installed; the reason is above"
  rm -f "$log"
}

find_adapter() {
  fresh "$adapter_stamp" "$(drivers)" && return 0
  did=1
  if ! probe; then
    reason=$adapter
    [ "$(uname -s)" = Linux ] || fail "Dawn finds no GPU adapter: $reason"
    say "Dawn finds no adapter; installing Mesa's Vulkan driver, which runs on the CPU too"
    install_driver
    probe || fail "still no adapter after installing the driver: $adapter"
  fi
  say "adapter: $adapter"
}

did=0
check_node
install_packages
find_adapter
[ "$did" = 1 ] || say "nothing to do"
