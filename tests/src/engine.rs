// SPDX-License-Identifier: MIT OR Apache-2.0
//! A container of the real podman and runc, on a machine that seems to have
//! AMD's device nodes.

use std::path::Path;
use std::process::{Command, Output};

use crate::tools;

/// What it takes.
pub const PROGRAMS: [&str; 6] = ["podman", "runc", "unshare", "mount", "busybox", "mknod"];

/// Runs a program in a container. In a mount namespace of its own, where /run is
/// empty but for a CDI specification, and /dev has nodes that stand for
/// /dev/kfd and two render nodes (they are /dev/null's twins).
///
/// podman would raise limits that a build machine may not: they are given.
const SCRIPT: &str = r#"
set -e
cd "$0"
mkdir dev root root/bin run
mount -t tmpfs none dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev/
mkdir dev/pts dev/shm dev/mqueue dev/dri
mount --rbind /dev/pts dev/pts
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
for node in kfd dri/renderD128 dri/renderD129; do mknod -m 666 dev/$node c 1 3; done
mount --rbind dev /dev
mount -t tmpfs none /run
if [ -e cdi.json ]; then mkdir /run/cdi && cp cdi.json /run/cdi/; fi
busybox=$(command -v busybox)
cp "$busybox" root/bin/busybox
for library in $(ldd "$busybox" | grep -o '/[^ ]*'); do
    mkdir -p "root$(dirname "$library")"
    cp -L "$library" "root$library"
done
podman --root "$PWD/storage" --runroot "$PWD/run" --storage-driver=vfs --cgroup-manager=cgroupfs \
    --events-backend=none --runtime=runc run --rm --network=none \
    --ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024 "$@" --rootfs "$PWD/root" \
    /bin/busybox sh -c 'busybox env; busybox ls /dev/kfd /dev/dri/* 2>/dev/null || busybox true'
"#;

/// Whether such containers can be run here; reports the skip.
///
/// # Panics
/// Where nothing may be skipped.
pub fn available() -> bool {
    tools::is_root() && tools::available(&PROGRAMS)
}

/// The environment of a process in a container and AMD's device nodes there.
/// `dir` is empty but for what the options name and, where a CDI specification
/// is to be known, `cdi.json`.
///
/// # Panics
/// If unshare cannot be run.
pub fn podman(dir: &Path, options: &[&str]) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT]).arg(dir).args(options);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", dir).output().expect("unshare runs")
}
