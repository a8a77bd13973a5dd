"""First inputs of the targets about exports: requests of the API, records, maps of ids and of names.

Messages are written as text and serialized by protoc.
"""
import os
import struct
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")

CREATE = """
export_id: "web" request_id: "r1"
export {
  labels { key: "team" value: "storage" } labels { key: "a.b/c" value: "" }
  owner { system: "s" vm_id: "v" }
  source { passthrough { path: "/srv/web" } }
  tag: "web" advertise_tag: true
  socket { path: "/run/fsd/web.sock" uid: 107 gid: 107 mode: 432 }
  cache { policy: ALWAYS attr_timeout { seconds: 1 } entry_timeout { nanos: 5 } negative_timeout { } writeback: true
          mmap: true readdirplus: READDIRPLUS_NEVER symlinks: true }
  semantics {
    xattr: true posix_acl: USE_AUTO security_label: USE_ALWAYS killpriv: USE_NEVER submounts: false locks: SHARED
    lock_wait { seconds: 5 } preserve_noatime: true
    xattr_rules { type: PREFIX scope: CLIENT key: "trusted." prepend: "user.virtiofs." }
    xattr_rules { type: MAP key: "" prepend: "user.virtiofs." }
  }
  ids {
    uid_translations { kind: MAP guest_first: 0 host_first: 100000 count: 65536 }
    gid_translations { kind: FORBID_GUEST guest_first: 0 count: 1 }
  }
  inodes { host_handles: NEVER max_file_descriptors: 1000 }
  transport { request_queues: 4 poll_us: 50 }
}
"""
UPDATE = """
export { name: "exports/web" labels { key: "tier" value: "front" } owner { vm_id: "7" } socket { uid: 107 mode: 432 }
         cache { attr_timeout { seconds: 5 } } sandbox { limits { threads: 64 } } }
update_mask { paths: "labels.tier" paths: "labels" paths: "owner" paths: "socket.uid" paths: "socket.mode"
              paths: "cache.attr_timeout" paths: "sandbox.limits" paths: "semantics" }
etag: "e"
"""
UPDATE_WRONG = """
export { name: "web" tag: "" }
update_mask { paths: "labels." paths: "status.state" paths: "cache.none" paths: "qos.read" paths: "" paths: "..tag"
              paths: "cache.policy.x" paths: "name" }
"""
MINIMAL = 'export_id: "a" export { source { passthrough { path: "/" } } tag: "t" }'
JAIL = """
export_id: "a" export {
  source { passthrough { path: "/srv" } } tag: "t" read_only: true
  sandbox { mode: CHROOT seccomp: LOG add_capabilities: "CAP_SYS_ADMIN" drop_capabilities: "CAP_CHOWN"
            limits { memory_bytes: 1 open_files: 18446744073709551615 threads: 3 } }
  ids { uid_namespace { inside_first: 0 outside_first: 100000 count: 65536 }
        uid_mount { inside_first: 0 outside_first: 1000 count: 1 } gid_mount { count: 0 } }
}
"""
WRONG = """
export_id: "-A" request_id: "\\001" validate_only: true
export {
  name: "exports/x" labels { key: "!" value: "\\n" } tag: "%s" source { passthrough { path: "/a/../b" } }
  socket { path: "relative" uid: 4294967295 mode: 4095 }
  cache { policy: 9 attr_timeout { seconds: -1 } }
  semantics { xattr_rules { type: MAP scope: ALL } xattr_rules { } lock_wait { } }
  inodes { max_file_descriptors: 1 } transport { request_queues: 256 max_queue_size: 9 }
  qos { read { bytes_per_second: 1 } }
}
""" % ("t" * 40)
SPEC = """
id: "web" source_path: "/srv/web" tag: "web" socket_path: "/run/fsd/web.sock" socket_mode: 432 cache: CACHE_ALWAYS
labels { key: "b" value: "1" } labels { key: "a" value: "2" }
attr_timeout_nanos: 9223372036854775807 entry_timeout_nanos: -1 xattr: true
xattr_rules { type: PREFIX key: "k" prepend: "p" } uid_translations { kind: MAP count: 5 }
sandbox_mode: SANDBOX_NONE seccomp: SECCOMP_OFF add_capabilities: "CAP_CHOWN" limits { memory_bytes: 1 }
"""
RECORD = 'version: 1 uid: "00ff" create_time_unix_nanos: 1 spec { %s } request_id: "r"' % SPEC


def encode(message, text, proto="fsd/v1/export_service.proto", root="proto"):
    return subprocess.run(["protoc", "--encode=" + message, "-I" + root, "-I/usr/include", os.path.join(root, proto)],
                          cwd=ROOT, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def api(kind, message, text):
    return bytes([kind]) + encode("fsd.v1." + message, text)


def validations():
    yield "create", api(0, "CreateExportRequest", CREATE)
    yield "minimal", api(0, "CreateExportRequest", MINIMAL)
    yield "jail", api(0, "CreateExportRequest", JAIL)
    yield "wrong", api(0, "CreateExportRequest", WRONG)
    yield "nothing", b"\0"
    yield "get", api(1, "GetExportRequest", 'name: "exports/web"')
    yield "list", api(2, "ListExportsRequest", 'page_size: -1 page_token: "eA" filter: "x"')
    yield "delete", api(3, "DeleteExportRequest", 'name: "exports/web" mode: DRAIN etag: "e" drain_timeout { seconds: 1 }')
    yield "page_token", b"\4djE6d2Vi"
    yield "filter", b'\4labels."a.b/c" = "x*" OR -status.state = MOUNTED AND (tag:*)'
    yield "update", api(5, "UpdateExportRequest", UPDATE)
    yield "update_all", api(5, "UpdateExportRequest", MINIMAL.replace('export_id: "a"', "").replace(
        "{ source", '{ name: "exports/a" source') + 'update_mask { paths: "*" } validate_only: true')
    yield "update_wrong", api(5, "UpdateExportRequest", UPDATE_WRONG)


def internal(message, text, file="worker"):
    return encode("fsd.internal." + message, text, "proto/fsd/internal/%s.proto" % file, ".")


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def datagrams(*messages, fds=0):
    return b"".join(struct.pack("<H", len(m) | fds) + m for m in messages)


def records():
    payload = internal("ExportRecord", RECORD, "export_spec")
    front = b"FSDEXPT\n" + struct.pack("<II", 1, len(payload))
    whole = front + struct.pack("<I", crc32c(front + payload)) + payload
    yield "whole", b"\0" + whole
    yield "cut_off", b"\0" + whole[:-9]
    yield "flipped", b"\0" + whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
    yield "newer", b"\0" + whole[:8] + b"\2" + whole[9:]
    yield "payload", b"\1" + payload
    yield "to_worker", b"\2" + datagrams(internal("ToWorker", "hello { version: 1 }"), internal("ToWorker", "query_status { }"),
                                         internal("ToWorker", "set_log_level { log_level: 2 }"),
                                         internal("ToWorker", "set_slow_request { nanos: -1 }"), internal("ToWorker", "stop { }"))
    status = "status { state: STATE_MOUNTED connection { since_unix_nanos: 5 queues: 2 init_flags: 7 } inodes: 3 stuck: true }"
    yield "from_worker", b"\3" + datagrams(internal("FromWorker", 'hello { version: 1 export_uid: "u" }'),
                                           internal("FromWorker", status), b"\xff\xff")
    yield "with_fds", b"\3" + datagrams(internal("FromWorker", "status { }"), fds=0x8000)


def id_maps():
    yield "all_forms", (b"map:0:100000:65536\nguest:70000:5:2\nhost:5:70000:2\nsquash-guest:80000:7:9\n"
                        b"squash-host:0:65534:1000\nforbid-guest:90000:4\n0:1000:1")
    yield "edges", b"map:4294967294:0:1\nguest:0:4294967294:1"
    yield "beyond", b"map:4294967295:0:1\nmap:0:0:4294967296"
    yield "overlapping", b"map:0:0:10\nsquash-guest:9:1:1"
    yield "empty_range", b"map:0:0:0"
    yield "malformed", b"map:0:0\nmap:-1:0:1\nmap:0:0:99999999999999999999\n:::\n1:2"


def xattr_maps():
    names = b"\0".join([b"", b"user.a", b"security.capability", b"trusted.b", b"user.virtiofs.security.selinux", b"x" * 255, b"y" * 256])
    yield "identity", names
    yield "map_all", b":map::user.virtiofs.:" + names
    yield "map_key", b":map:trusted.:user.virtiofs.:" + names
    yield "rules", (b":prefix:client:trusted.:user.virtiofs.: :ok:server::user.: /bad/all/security.// "
                    b":unsupported:client:system.::" + names)
    yield "too_long", b":prefix:all::" + b"p" * 255 + b":" + names
    yield "malformed", b":prefix:all:a" + names
    yield "behind_map", b":map::x: :ok:all:::" + names
    yield "odd_separator", b"xprefixxallx:/xbx"
