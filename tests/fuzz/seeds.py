#!/usr/bin/env python3
"""Writes the fuzz targets' first inputs: well-formed ones, from which fuzzing goes astray.

usage: seeds.py DIRECTORY   (corpus/ beside this script)
"""
import os
import struct
import sys

import export_seeds
import fuse_seeds
import vhost_user_seeds


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
    yield "nested", memory(3, [descriptor(base + 4096, 32, 4, 0)], [0],
                           descriptor(base + 8192, 64, 1, 1) + descriptor(base + 4096, 32, 4, 0))
    yield "loop", memory(0, [descriptor(base, 1, 1, 1), descriptor(base, 1, 1, 0)], [0])
    yield "outside", memory(1, [descriptor(base + 32768 - 8, 64, 2, 0)], [0, 0])
    yield "bad_head", memory(1, [], [9999])


def sessions():
    for name, row in fuse_seeds.sessions():
        yield name, b"\0" + row
    for options in (1, 2, 4, 8, 0x30, 0x80):
        yield "options_%d" % options, bytes([options]) + dict(fuse_seeds.sessions())["files"]


def main():
    for target, inputs in (
            ("descriptor_chain", chains()),
            ("export_record", export_seeds.records()),
            ("export_validation", export_seeds.validations()),
            ("fuse", sessions()),
            ("id_map", export_seeds.id_maps()),
            ("vhost_user", vhost_user_seeds.inputs()),
            ("xattr_map", export_seeds.xattr_maps())):
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for name, data in inputs:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
