"""The disk that keeps BuildKit's state on a node: the boot script with stub programs and on a real disk."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.build_nodes import user_data
from components.node_cache import HOST_FOLDER, JOB_FOLDER, VOLUME, boot_script
from stacks.cluster import MAX_SCRIPT
from tests import node_disks
from tests.components.mocks import NAME, Declared, declare
from tests.components.test_node_settings import KEY, SCRIPT, arm64, parts
from tests.stacks.stack_settings import problems, settings

STORE = "disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_AWS1A"
LABEL = "buildyard"

# A disk is a file with the name of its file system: nothing, if it is blank.
PROGRAMS = {
    "blkid": """case $1 in
  -p) if [ -s "$2" ]; then exit 0; else exit 2; fi ;;
  -L) grep -rlx "$2" "$NODE/dev" ;;
esac""",
    "lsblk": 'cat "$NODE/lsblk"',
    "mkfs.xfs": 'for last; do :; done; echo "mkfs $last" >>"$NODE/log"; [ ! -e "$NODE/broken" ] && echo "$4" >"$last"',
    "mount": 'echo "mount $3 $4" >>"$NODE/log"; [ -s "$3" ] && [ ! -e "$NODE/broken" ] && touch "$NODE/mounted"',
    "mountpoint": '[ -e "$NODE/mounted" ]',
    "chown": 'echo "chown $*" >>"$NODE/log"',
    "udevadm": ":",
}


class Node:
    """A node's disks and programs below a folder, and what its boots do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._programs = root / "bin"
        self._write("log", "")
        self._write("lsblk", "")
        for name, text in PROGRAMS.items():
            self._write(f"bin/{name}", f"#!/bin/bash\n{text}\n").chmod(0o755)
        self._script = self._write("part-001", elsewhere(boot_script(owner=1000), root))
        self._script.chmod(0o755)

    def _write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def disk(self, name: str, file_system: str = "") -> Path:
        return self._write(f"dev/{name}", file_system and f"{file_system}\n")

    def seen_by_lsblk(self, *names: str) -> None:
        self._write("lsblk", "".join(f"{self.root}/dev/{name} disk\n" for name in names))

    def breaks(self) -> None:
        self._write("broken", "")

    def boot(self) -> list[str]:
        """Run cloud-init's scripts of a first boot: what they did, without the node's own folder."""
        return self._run(self._script)

    def boot_again(self) -> list[str]:
        """Run cloud-init's scripts of a later boot, which do not include user data."""
        (self.root / "mounted").unlink(missing_ok=True)
        folder = self.root / "var/lib/cloud/scripts/per-boot"
        return [line for script in sorted(folder.iterdir()) for line in self._run(script)]

    def _run(self, script: Path) -> list[str]:
        self._write("log", "")
        path = f"{self._programs}:{os.environ['PATH']}"
        done = subprocess.run([script], env={"PATH": path, "NODE": str(self.root)}, capture_output=True, text=True)
        assert done.returncode == 0, "cloud-init would report a failure, and other scripts may rely on it"
        self.said = done.stderr
        return (self.root / "log").read_text().replace(f"{self.root}/", "/").splitlines()


def elsewhere(script: str, root: Path) -> str:
    """The script with its folders below another one."""
    return re.sub(r"/(dev|mnt|var)/(?!null)", rf"{root}/\1/", script)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


MOUNTED = [f"mount /dev/xvdb {HOST_FOLDER}", f"chown 1000:1000 {HOST_FOLDER}"]


def test_a_new_node_mounts_its_disk_for_build_pods_alone(node: Node) -> None:
    node.disk("xvda", "root")
    node.disk("xvdb")
    assert node.boot() == ["mkfs /dev/xvdb", *MOUNTED]
    folder = node.root / HOST_FOLDER[1:]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not node.said


def test_a_node_that_starts_again_keeps_its_state(node: Node) -> None:
    node.disk("xvdb")
    node.boot()
    assert node.boot_again() == MOUNTED, "the state would be lost, or not mounted"
    node.disk("xvdb").rename(node.root / "dev/nvme2n1")
    node.disk("nvme2n1", LABEL)
    assert node.boot_again()[0].startswith("mount /dev/nvme2n1"), "Nitro numbers devices anew at each boot"


def test_a_mounted_disk_is_left_alone(node: Node) -> None:
    node.disk("xvdb")
    node.boot()
    assert node.boot() == []


def test_an_instance_store_comes_before_the_volume(node: Node) -> None:
    for name in ("xvdb", STORE, f"{STORE}-part1"):
        node.disk(name)
    assert node.boot()[:2] == [f"mkfs /dev/{STORE}", f"mount /dev/{STORE} {HOST_FOLDER}"]
    node.disk(STORE)  # EC2 empties it when the node stops
    assert node.boot_again()[0] == f"mkfs /dev/{STORE}", "nodes of a warm pool would have no state"


def test_an_instance_store_in_use_is_left_alone(node: Node) -> None:
    node.disk(STORE, "linux_raid_member")
    node.disk(f"{STORE}-part1")
    node.disk("xvdb")
    assert node.boot()[0] == "mkfs /dev/xvdb", "data would be lost"


@pytest.mark.parametrize("name", ["sdb", "nvme1n1"])
def test_the_volume_is_found_by_each_of_its_names(node: Node, name: str) -> None:
    node.disk("nvme0n1", "dos")
    node.disk(name)
    node.seen_by_lsblk("nvme0n1", name, "zram0")
    assert node.boot()[0] == f"mkfs /dev/{name}"


@pytest.mark.parametrize("name", ["xvdb", "sdb"])
def test_the_name_in_the_launch_template_decides_between_blank_disks(node: Node, name: str) -> None:
    node.disk("nvme3n1")
    node.disk("nvme4n1")
    node.disk(name)
    node.seen_by_lsblk("nvme3n1", "nvme4n1", name)
    assert node.boot()[0] == f"mkfs /dev/{name}"


@pytest.mark.parametrize(
    "disks", [{}, {"xvdb": "ext4"}, {"nvme1n1": "xfs"}, {"nvme1n1": "", "nvme2n1": ""}, {"zram0": ""}], ids=str
)
def test_no_disk_that_may_be_somebody_elses_is_formatted(node: Node, disks: Mapping[str, str]) -> None:
    for name, file_system in disks.items():
        node.disk(name, file_system)
    node.seen_by_lsblk(*disks)
    assert node.boot() == []
    assert "keeps no build state" in node.said


def test_a_broken_disk_does_not_stop_a_node(node: Node) -> None:
    node.disk("xvdb")
    node.breaks()
    assert node.boot() == ["mkfs /dev/xvdb"], "jobs must not write to the root volume"
    node.disk("xvdb", LABEL)
    assert node.boot() == MOUNTED[:1], "jobs must not write to the root volume"
    assert "keeps no build state" in node.said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """The device of a real disk."""
    if reason := node_disks.obstacle():
        pytest.skip(reason)
    with node_disks.blank_disk(tmp_path / "image") as device:
        yield device


def test_a_real_disk_is_mounted_at_each_boot(tmp_path: Path, disk: str) -> None:
    Node(tmp_path)
    for name in ("blkid", "lsblk", "mkfs.xfs", "mount", "mountpoint", "chown"):
        (tmp_path / "bin" / name).unlink()
    label = f"by-{os.getpid()}"
    script = tmp_path / "part-001"
    script.write_text(script.read_text().replace(f"LABEL={LABEL}", f"LABEL={label}"))
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/xvdb").symlink_to(disk)
    folder, again = elsewhere(HOST_FOLDER, tmp_path), tmp_path / "var/lib/cloud/scripts/per-boot" / label
    state = f"stat -c '%a %u %g' {folder}"
    first = f"{script} && {state} && stat -f -c %T {folder} && touch {folder}/kept"
    boots = f"{first} && umount {folder} && {state} && {again} && ls {folder}/kept"
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    command = ["unshare", "--mount", "bash", "-c", boots]
    done = subprocess.run(command, env={"PATH": path, "NODE": str(tmp_path)}, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["700 1000 1000", "xfs", "755 0 0", f"{folder}/kept"], done.stderr


def cached(**keys: Any) -> dict[str, Any]:
    return arm64(cache={"size": "100Gi", **keys.pop("cache", {})}, **keys)


def devices(**keys: Any) -> list[Any]:
    found: list[Any] = declare(nodes=cached(**keys)).only("ec2:LaunchTemplate").inputs["blockDeviceMappings"]
    return found


def test_nodes_have_a_second_volume_as_the_settings_say() -> None:
    [_, second] = devices(kms_key=KEY, cache={"iops": 12000, "throughput": 1000})
    assert second == {
        "deviceName": "/dev/xvdb",
        "ebs": {
            "volumeType": "gp3",
            "volumeSize": 100,
            "iops": 12000,
            "throughput": 1000,
            "encrypted": "true",
            "kmsKeyId": KEY,
            "deleteOnTermination": "true",
        },
    }


def test_the_second_volume_is_not_ephemeral_storage() -> None:
    hints = [each.inputs["tag"] for each in declare(nodes=cached(disk="150Gi")).of("autoscaling:Tag").values()]
    [storage] = [hint["value"] for hint in hints if hint["key"].endswith("/resources/ephemeral-storage")]
    assert storage == "150Gi", "the autoscaler would start nodes that jobs do not fit on"


def test_the_disk_is_mounted_before_a_companys_script_runs() -> None:
    declared = declare(nodes=cached(boot_script=SCRIPT))
    found = parts(declared.only("ec2:LaunchTemplate").inputs["userData"])
    assert [kind for kind, _ in found] == ["text/x-shellscript", "text/x-shellscript", "application/node.eks.aws"]
    assert HOST_FOLDER in found[0][1]
    assert found[1][1].rstrip("\n") == SCRIPT.rstrip("\n")


def test_both_scripts_fit_into_user_data() -> None:
    scripts = [boot_script(owner=1000), "#!/bin/sh\n".ljust(MAX_SCRIPT, "x")]
    assert len(user_data(scripts=scripts, user_namespaces=True)) * 3 / 4 < 16384 - 4096, "EKS adds its own part"


def test_nodes_without_the_setting_stay_as_they_are() -> None:
    template = declare().of("ec2:LaunchTemplate")[f"{NAME}-arm64"].inputs
    assert len(template["blockDeviceMappings"]) == 1
    assert [kind for kind, _ in parts(template["userData"])] == ["application/node.eks.aws"]


@pytest.mark.parametrize(
    ("cache", "key"),
    [
        ({"size": "20Gi", "iops": 10001}, "iops"),
        ({"size": "10Gi"}, "iops"),
        ({"size": "100Gi", "iops": 3000, "throughput": 751}, "throughput"),
        ({"size": "9Gi"}, "size"),
        ({"size": "65537Gi"}, "size"),
        ({"size": "100.5Gi"}, "size"),
        ({}, "size"),
        ({"size": "100Gi", "iops": 2999}, "iops"),
        ({"size": "100Gi", "iops": 80001}, "iops"),
        ({"size": "100Gi", "throughput": 124}, "throughput"),
        ({"size": "100Gi", "throughput": 2001}, "throughput"),
    ],
)
def test_second_volumes_that_ec2_refuses(cache: dict[str, Any], key: str) -> None:
    assert problems(nodes=arm64(cache=cache)).keys() == {f"buildyard:nodes.arm64.cache.{key}"}


@pytest.mark.parametrize(
    "cache", [{"size": "10Gi", "iops": 5000}, {"size": "64Ti", "iops": 80000, "throughput": 2000}, None], ids=str
)
def test_second_volumes_that_ec2_takes(cache: dict[str, Any] | None) -> None:
    assert settings(nodes=arm64(cache=cache))


TWO = {
    "arm64": {"instance-types": ["m7g.4xlarge"], "cache": {"size": "100Gi"}},
    "amd64": {"instance-types": ["m7i.4xlarge"]},
}


@pytest.fixture(scope="module")
def one_cached() -> Declared:
    """A stack whose arm64 nodes alone keep state."""
    return declare(nodes=TWO)


def config(declared: Declared, architecture: str) -> str:
    text: str = declared.of("helm.sh:Release")[f"{NAME}-{architecture}"].plain()["values"]["runners"]["config"]
    return text


def test_jobs_get_the_disk_of_their_architecture(one_cached: Declared) -> None:
    arm64, amd64 = (config(one_cached, each) for each in ("arm64", "amd64"))
    mount = (f'name = "{VOLUME}"', f'mount_path = "{JOB_FOLDER}"', f'host_path = "{HOST_FOLDER}"')
    assert all(line in arm64 for line in mount), "jobs would keep nothing"
    assert "BUILDYARD_STATE=/buildkit" in arm64
    assert HOST_FOLDER in arm64
    assert "BUILDYARD_STATE" not in amd64, "jobs would keep state on the root volume"
    assert HOST_FOLDER not in amd64, "the node would make the folder on its root volume"


@pytest.mark.parametrize("nodes", [{"nodes": TWO}, {}], ids=["with a cache", "without"])
def test_pods_may_mount_the_disk_only_if_nodes_have_one(nodes: Any) -> None:
    kind = "admissionregistration.k8s.io:ValidatingAdmissionPolicy"
    text = str(declare(**nodes).only(kind).plain()["spec"])
    assert (HOST_FOLDER in text) is bool(nodes)
    assert ("hostPath" in text) is bool(nodes)
