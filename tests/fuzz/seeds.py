#!/usr/bin/env python3
"""Writes the fuzz targets' first inputs: well-formed ones, from which fuzzing goes astray.

usage: seeds.py DIRECTORY   (corpus/ beside this script)
"""
import os
import struct
import sys

INIT, LOOKUP, FORGET, GETATTR, SETATTR, MKDIR, CREATE = 26, 1, 2, 3, 4, 9, 35
SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, GETLK, SETLK, SETLKW, IOCTL = 21, 22, 23, 24, 31, 32, 33, 39
SYMLINK, COPY_FILE_RANGE, SYNCFS, TMPFILE, STATX, COPY_FILE_RANGE_64 = 6, 47, 50, 51, 52, 53
READ, WRITE, OPENDIR, READDIRPLUS, RENAME2, DESTROY = 15, 16, 27, 44, 45, 38


def request(opcode, node, body, room=512, unique=2, extensions=b""):
    body += extensions
    header = struct.pack("<IIQQIIIHH", 40 + len(body), opcode, unique, node, 0, 0, 1,
                         len(extensions) // 8, 0)
    return struct.pack("<HH", len(header + body), room) + header + body


def init():
    return request(INIT, 0, struct.pack("<IIIII", 7, 38, 131072, (1 << 30) | (1 << 22) | (1 << 13), 0)
                   + bytes(44))


def init_everything():
    return request(INIT, 0, struct.pack("<IIIII", 7, 45, 131072, 0x7fffffff, 0xffff) + bytes(44))


def extension(kind, body):
    body += bytes(-len(body) % 8)
    return struct.pack("<II", 8 + len(body), kind) + body


def lock(opcode, start, end, kind, flags=0, owner=9):
    return request(opcode, (1 << 32) + 1, struct.pack("<QQQQIIII", 2, owner, start, end, kind, 7, flags, 0))


def fuse_sessions():
    create = request(CREATE, 1, struct.pack("<IIII", 2, 0o644, 0o22, 0) + b"file\0")
    yield "files", (init() + create
                    + request(LOOKUP, 1, b"file\0")
                    + request(WRITE, (1 << 32) + 1, struct.pack("<QQIIQII", 2, 0, 5, 0, 0, 2, 0) + b"hello")
                    + request(READ, (1 << 32) + 1, struct.pack("<QQIIQII", 2, 0, 100, 0, 0, 2, 0))
                    + request(SETATTR, (1 << 32) + 1, struct.pack("<II", 8, 0) + bytes(80))
                    + request(FORGET, (1 << 32) + 1, struct.pack("<Q", 2), room=0)
                    + request(DESTROY, 0, b""))
    yield "directories", (init() + request(MKDIR, 1, struct.pack("<II", 0o755, 0) + b"d\0")
                          + request(OPENDIR, 1, bytes(8))
                          + request(READDIRPLUS, 1, struct.pack("<QQIIQII", 2, 0, 4096, 0, 0, 0, 0), room=4112)
                          + request(RENAME2, 1, struct.pack("<QII", 1, 0, 0) + b"d\0e\0"))
    label = extension(1, struct.pack("<II", 5, 0) + b"security.selinux\0label")
    group = extension(32, struct.pack("<II", 1, 50))
    node = (1 << 32) + 1
    copy = struct.pack("<QQQQQQQ", 2, 0, node, 2, 8, 4, 0)
    yield "contexts", (init_everything()
                       + request(MKDIR, 1, struct.pack("<II", 0o755, 0) + b"d\0", extensions=label + group)
                       + request(SYMLINK, 1, b"s\0target\0" + label)
                       + request(TMPFILE, 1, struct.pack("<IIII", 2, 0o600, 0, 0) + b"/\0", extensions=group)
                       + request(LOOKUP, 1, b"nothing\0"))
    yield "attributes", (init_everything() + create
                         + request(SETXATTR, node, struct.pack("<IIII", 5, 0, 0, 0) + b"user.a\0value")
                         + request(GETXATTR, node, struct.pack("<II", 0, 0) + b"user.a\0")
                         + request(GETXATTR, node, struct.pack("<II", 100, 0) + b"user.a\0")
                         + request(LISTXATTR, node, struct.pack("<II", 100, 0))
                         + request(REMOVEXATTR, node, b"user.a\0")
                         + request(STATX, node, struct.pack("<IIQII", 1, 0, 2, 0, 0xfff)))
    yield "short_setxattr", (init() + create
                             + request(SETXATTR, node, struct.pack("<II", 5, 1) + b"user.a\0value"))
    yield "ranges", (init_everything() + create
                     + request(COPY_FILE_RANGE, node, copy) + request(COPY_FILE_RANGE_64, node, copy)
                     + request(IOCTL, node, struct.pack("<QIIQII", 2, 0, 0x80086601, 0, 0, 4))
                     + request(IOCTL, node, struct.pack("<QIIQII", 2, 0, 0x40086602, 0, 4, 0) + bytes(4))
                     + request(SYNCFS, 1, bytes(8)))
    yield "locks", (init_everything() + create
                    + lock(SETLK, 0, 9, 1) + lock(GETLK, 5, (1 << 63) - 1, 0, owner=8)
                    + lock(SETLKW, 5, 5, 1, owner=8) + lock(SETLK, 0, 9, 2)
                    + lock(SETLKW, 0, (1 << 63) - 1, 1, flags=1) + lock(SETLK, 9, 5, 0))
    yield "before_init", request(GETATTR, 1, bytes(16))
    yield "twice_init", init() + init() + request(GETATTR, 1, bytes(16))
    yield "cut_short", init()[:30]


def descriptor(address, length, flags, following):
    return struct.pack("<QIHH", address, length, flags, following)


def chains():
    base = 0x10000

    def memory(flags, descriptors, heads, rest=b""):
        table = b"".join(descriptors).ljust(1024, b"\0")
        available = (struct.pack("<HH", 0, len(heads)) + b"".join(struct.pack("<H", h) for h in heads))
        return bytes([flags]) + table + available.ljust(3072, b"\0") + rest

    yield "direct", memory(3, [descriptor(base + 8192, 64, 1, 1), descriptor(base + 9000, 64, 2, 0)], [0])
    yield "indirect", memory(3, [descriptor(base + 4096, 32, 4, 0)], [0],
                             descriptor(base + 8192, 64, 1, 1) + descriptor(base + 9000, 64, 2, 0))
    yield "loop", memory(0, [descriptor(base, 1, 1, 1), descriptor(base, 1, 1, 0)], [0])
    yield "outside", memory(1, [descriptor(base + 32768 - 8, 64, 2, 0)], [0, 0])
    yield "bad_head", memory(1, [], [9999])


def main():
    for target, inputs in (("fuse_session", fuse_sessions()), ("descriptor_chain", chains())):
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for name, data in inputs:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
