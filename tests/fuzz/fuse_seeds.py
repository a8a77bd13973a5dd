"""First inputs of the FUSE targets: every opcode once as a guest sends it, and rows of them."""
import struct

LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK = 1, 2, 3, 4, 5, 6
MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK = 8, 9, 10, 11, 12, 13
OPEN, READ, WRITE, STATFS, RELEASE, FSYNC = 14, 15, 16, 17, 18, 20
SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, FLUSH, INIT = 21, 22, 23, 24, 25, 26
OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, GETLK, SETLK, SETLKW = 27, 28, 29, 30, 31, 32, 33
ACCESS, CREATE, INTERRUPT, BMAP, DESTROY, IOCTL, POLL = 34, 35, 36, 37, 38, 39, 40
NOTIFY_REPLY, BATCH_FORGET, FALLOCATE, READDIRPLUS, RENAME2 = 41, 42, 43, 44, 45
LSEEK, COPY_FILE_RANGE, SETUPMAPPING, REMOVEMAPPING, SYNCFS = 46, 47, 48, 49, 50
TMPFILE, STATX, COPY_FILE_RANGE_64 = 51, 52, 53

# What the memory backend gives to the first file that is created.
NODE, HANDLE = (1 << 32) + 1, 2
# And to the first directory that is opened after it.
DIRECTORY_HANDLE = 3


def request(opcode, node, body=b"", room=512, unique=2, extensions=b""):
    body += extensions
    header = struct.pack("<IIQQIIIHH", 40 + len(body), opcode, unique, node, 0, 0, 1,
                         len(extensions) // 8, 0)
    return struct.pack("<HH", len(header + body), room) + header + body


def init(minor=45, flags=0x7fffffff, flags2=0xffff, major=7):
    return request(INIT, 0, struct.pack("<IIIII", major, minor, 131072, flags, flags2) + bytes(44))


def plain_init():
    return init(38, (1 << 30) | (1 << 22) | (1 << 13), 0)


def extension(kind, body):
    body += bytes(-len(body) % 8)
    return struct.pack("<II", 8 + len(body), kind) + body


def create(name=b"file\0", flags=2, **more):
    return request(CREATE, 1, struct.pack("<IIII", flags, 0o644, 0o22, 0) + name, **more)


def lock(opcode, start, end, kind, flags=0, owner=9):
    return request(opcode, NODE, struct.pack("<QQQQIIII", HANDLE, owner, start, end, kind, 7, flags, 0))


def io(handle=HANDLE, offset=0, size=0):
    return struct.pack("<QQIIQII", handle, offset, size, 0, 0, 2, 0)


def range_to(node, length=4):
    return struct.pack("<QQQQQQQ", HANDLE, 0, node, HANDLE, 8, length, 0)


def every_opcode():
    """Each opcode's request after the first file and directory handle are there."""
    two = struct.pack("<II", 0, 0)
    release = struct.pack("<QIIQ", HANDLE, 0, 0, 9)
    fsync = struct.pack("<QII", HANDLE, 1, 0)
    return {
        "lookup": request(LOOKUP, 1, b"file\0"),
        "forget": request(FORGET, NODE, struct.pack("<Q", 1), room=0),
        "getattr": request(GETATTR, NODE, struct.pack("<IIQ", 1, 0, HANDLE)),
        "setattr": request(SETATTR, NODE, struct.pack("<II", 0x7ff, 0) + struct.pack("<Q", HANDLE) + bytes(72)),
        "readlink": request(SYMLINK, 1, b"s\0target\0") + request(READLINK, (1 << 32) + 4),
        "symlink": request(SYMLINK, 1, b"s\0target\0"),
        "mknod": request(MKNOD, 1, struct.pack("<IIII", 0o10644, 0, 0o22, 0) + b"n\0"),
        "mkdir": request(MKDIR, 1, struct.pack("<II", 0o755, 0) + b"d\0"),
        "unlink": request(UNLINK, 1, b"file\0"),
        "rmdir": request(MKDIR, 1, two + b"d\0") + request(RMDIR, 1, b"d\0"),
        "rename": request(RENAME, 1, struct.pack("<Q", 1) + b"file\0other\0"),
        "rename2": request(RENAME2, 1, struct.pack("<QII", 1, 1, 0) + b"file\0other\0"),
        "link": request(LINK, 1, struct.pack("<Q", NODE) + b"other\0"),
        "open": request(OPEN, NODE, struct.pack("<II", 0o1002, 0)),
        "read": request(READ, NODE, io(size=100)),
        "write": request(WRITE, NODE, io(size=5) + b"hello"),
        "statfs": request(STATFS, 1),
        "release": request(RELEASE, NODE, release),
        "fsync": request(FSYNC, NODE, fsync),
        "setxattr": request(SETXATTR, NODE, struct.pack("<IIII", 5, 0, 0, 0) + b"user.a\0value"),
        "getxattr": request(GETXATTR, NODE, struct.pack("<II", 100, 0) + b"user.a\0"),
        "listxattr": request(LISTXATTR, NODE, struct.pack("<II", 100, 0)),
        "removexattr": request(REMOVEXATTR, NODE, b"user.a\0"),
        "flush": request(FLUSH, NODE, struct.pack("<QIIQ", HANDLE, 0, 0, 9)),
        "opendir": request(OPENDIR, 1, two),
        "readdir": request(READDIR, 1, io(DIRECTORY_HANDLE, 0, 400)),
        "readdirplus": request(READDIRPLUS, 1, io(DIRECTORY_HANDLE, 0, 4096), room=4112),
        "releasedir": request(RELEASEDIR, 1, struct.pack("<QIIQ", DIRECTORY_HANDLE, 0, 0, 0)),
        "fsyncdir": request(FSYNCDIR, 1, struct.pack("<QII", DIRECTORY_HANDLE, 0, 0)),
        "getlk": lock(GETLK, 0, 9, 1),
        "setlk": lock(SETLK, 0, 9, 1),
        "setlkw": lock(SETLKW, 0, 9, 1),
        "access": request(ACCESS, NODE, struct.pack("<II", 7, 0)),
        "create": create(b"other\0", 0o302),
        "interrupt": request(INTERRUPT, 0, struct.pack("<Q", 4)),
        "bmap": request(BMAP, NODE, struct.pack("<QII", 0, 4096, 0)),
        "ioctl": request(IOCTL, NODE, struct.pack("<QIIQII", HANDLE, 0, 0x80086601, 0, 0, 8)),
        "poll": request(POLL, NODE, struct.pack("<QQII", HANDLE, 1, 0, 1)),
        "notify_reply": request(NOTIFY_REPLY, NODE, bytes(40), room=0),
        "batch_forget": request(BATCH_FORGET, 0, struct.pack("<IIQQ", 1, 0, NODE, 1), room=0),
        "fallocate": request(FALLOCATE, NODE, struct.pack("<QQQII", HANDLE, 0, 4096, 3, 0)),
        "lseek": request(LSEEK, NODE, struct.pack("<QQII", HANDLE, 0, 4, 0)),
        "copy_file_range": request(COPY_FILE_RANGE, NODE, range_to(NODE)),
        "copy_file_range_64": request(COPY_FILE_RANGE_64, NODE, range_to(NODE)),
        "setupmapping": request(SETUPMAPPING, NODE, struct.pack("<QQQQQ", HANDLE, 0, 4096, 3, 0)),
        "removemapping": request(REMOVEMAPPING, NODE, struct.pack("<IIQQ", 1, 0, 0, 4096)),
        "syncfs": request(SYNCFS, 1, bytes(8)),
        "tmpfile": request(TMPFILE, 1, struct.pack("<IIII", 2, 0o600, 0, 0) + b"/\0"),
        "statx": request(STATX, NODE, struct.pack("<IIQII", 1, 0, HANDLE, 0, 0xfff)),
        "destroy": request(DESTROY, 0),
        "unknown": request(4096, 1) + request(7, 1) + request(54, 1, bytes(64)),
    }


def rows():
    """Longer ones, each of which tells a story."""
    label = extension(1, struct.pack("<II", 5, 0) + b"security.selinux\0label")
    group = extension(32, struct.pack("<II", 1, 50))
    yield "files", (plain_init() + create()
                    + request(LOOKUP, 1, b"file\0")
                    + request(WRITE, NODE, io(size=5) + b"hello")
                    + request(READ, NODE, io(size=100))
                    + request(SETATTR, NODE, struct.pack("<II", 8, 0) + bytes(80))
                    + request(FORGET, NODE, struct.pack("<Q", 2), room=0)
                    + request(DESTROY, 0))
    yield "directories", (plain_init() + request(MKDIR, 1, struct.pack("<II", 0o755, 0) + b"d\0")
                          + request(OPENDIR, 1, bytes(8))
                          + request(READDIRPLUS, 1, io(2, 0, 4096), room=4112)
                          + request(RENAME2, 1, struct.pack("<QII", 1, 0, 0) + b"d\0e\0"))
    yield "contexts", (init()
                       + request(MKDIR, 1, struct.pack("<II", 0o755, 0) + b"d\0", extensions=label + group)
                       + request(SYMLINK, 1, b"s\0target\0" + label)
                       + request(TMPFILE, 1, struct.pack("<IIII", 2, 0o600, 0, 0) + b"/\0", extensions=group)
                       + request(LOOKUP, 1, b"nothing\0"))
    yield "attributes", (init() + create()
                         + request(SETXATTR, NODE, struct.pack("<IIII", 5, 0, 0, 0) + b"user.a\0value")
                         + request(GETXATTR, NODE, struct.pack("<II", 0, 0) + b"user.a\0")
                         + request(GETXATTR, NODE, struct.pack("<II", 100, 0) + b"user.a\0")
                         + request(LISTXATTR, NODE, struct.pack("<II", 100, 0))
                         + request(REMOVEXATTR, NODE, b"user.a\0"))
    yield "short_setxattr", (plain_init() + create()
                             + request(SETXATTR, NODE, struct.pack("<II", 5, 1) + b"user.a\0value"))
    yield "locks", (init() + create()
                    + lock(SETLK, 0, 9, 1) + lock(GETLK, 5, (1 << 63) - 1, 0, owner=8)
                    + lock(SETLKW, 5, 5, 1, owner=8) + lock(SETLK, 0, 9, 2)
                    + lock(SETLKW, 0, (1 << 63) - 1, 1, flags=1) + lock(SETLK, 9, 5, 0))
    yield "before_init", request(GETATTR, 1, bytes(16))
    yield "twice_init", init() + create() + init() + request(GETATTR, NODE, bytes(16))
    yield "major_8", init(major=8) + init() + init(minor=30) + init(major=6)
    yield "created_twice", init() + create(flags=0o302) + create(flags=0o302) + create(flags=0o102)
    yield "stale", (init() + request(GETATTR, 0, bytes(16)) + request(GETATTR, 77, bytes(16)) + create()
                    + request(FORGET, NODE, struct.pack("<Q", 1 << 63), room=0)
                    + request(GETATTR, NODE, bytes(16)) + request(READ, 1, io(size=9)))
    yield "cut_short", init()[:30]


def sessions():
    """Name and row of every input, without the target's leading bytes."""
    for name, body in every_opcode().items():
        yield name, init() + create() + request(OPENDIR, 1, bytes(8)) + body + request(DESTROY, 0)
    yield from rows()
