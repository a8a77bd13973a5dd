"""File systems on the host for the guest scenarios to share, in a mount namespace of the test's own.

    if __name__ == "__main__":
        in_own_mount_namespace()   # everything mounted from here on goes with the test
        unittest.main()
"""
import os
import subprocess
import sys
import tempfile

NAMESPACE_MARK = "FSD_TEST_MOUNT_NAMESPACE"
# Where mkfs is, which Bazel's PATH lacks.
SUPERUSER_PATH = "/usr/sbin:/sbin"


def in_own_mount_namespace():
    """Runs this program again in a mount namespace whose mounts propagate to those made from it."""
    if NAMESPACE_MARK not in os.environ:
        os.environ[NAMESPACE_MARK] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    call("mount", "--make-rshared", "/")


def call(*command):
    path = os.environ.get("PATH", "/usr/bin:/bin") + ":" + SUPERUSER_PATH
    # Through env(1), which looks for the program in the path that it is given.
    done = subprocess.run(["env", f"PATH={path}", *command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}: {done.stdout}")


class Images:
    """File systems in files, mounted where a test wants them; unmounted and removed at the end."""

    def __init__(self):
        self._directory = tempfile.mkdtemp(prefix="fsd-images-", dir="/tmp")
        self._mounted = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for place in reversed(self._mounted):
            call("umount", "--lazy", place)
        for name in os.listdir(self._directory):
            os.unlink(os.path.join(self._directory, name))
        os.rmdir(self._directory)

    def mount(self, place, kind, mebibytes, *options):
        """A new file system of this kind, mounted at `place`, which is made if it is missing."""
        image = os.path.join(self._directory, f"{len(self._mounted)}.img")
        with open(image, "wb") as file:
            file.truncate(mebibytes << 20)
        call(f"mkfs.{kind}", "-q", *options, image)
        os.makedirs(place, exist_ok=True)
        call("mount", "-o", "loop", image, place)
        self._mounted.append(place)
        return place

    def add_posix_places(self, directory):
        """The places that posix_check can use below `directory`; returns them by its options."""
        # Few inodes: names are made until there are no more.
        small = self.mount(os.path.join(directory, "small"), "ext4", 8, "-N", "512")
        # Quotas of ext4 need a kernel with CONFIG_QUOTA; those of btrfs do not.
        volume = self.mount(os.path.join(directory, "quota"), "btrfs", 128)
        limited = os.path.join(volume, "limited")
        call("btrfs", "quota", "enable", volume)
        call("btrfs", "subvolume", "create", limited)
        call("btrfs", "qgroup", "limit", "4M", limited)
        read_only = self.mount(os.path.join(directory, "ro"), "ext4", 8)
        with open(os.path.join(read_only, "file"), "w", encoding="ascii") as file:
            file.write("content")
        os.mkdir(os.path.join(read_only, "dir"))
        os.symlink("file", os.path.join(read_only, "link"))
        call("mount", "-o", "remount,ro", read_only)
        for place in (small, limited):
            os.chmod(place, 0o777)
        return {"--small-fs": "small", "--quota-fs": "quota/limited", "--read-only-fs": "ro",
                "--other-fs": "small"}
