#!/usr/bin/env python3
"""Writes the fuzz targets' first inputs: well-formed ones, from which fuzzing goes astray.

usage: seeds.py DIRECTORY   (corpus/ beside this script)
"""
import os
import struct
import sys

INIT, LOOKUP, FORGET, GETATTR, SETATTR, MKDIR, CREATE = 26, 1, 2, 3, 4, 9, 35
READ, WRITE, OPENDIR, READDIRPLUS, RENAME2, DESTROY = 15, 16, 27, 44, 45, 38


def request(opcode, node, body, room=512, unique=2):
    header = struct.pack("<IIQQIIIHH", 40 + len(body), opcode, unique, node, 0, 0, 1, 0, 0)
    return struct.pack("<HH", len(header + body), room) + header + body


def init():
    return request(INIT, 0, struct.pack("<IIIII", 7, 38, 131072, (1 << 30) | (1 << 22) | (1 << 13), 0)
                   + bytes(44))


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
