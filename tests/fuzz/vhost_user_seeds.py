"""First inputs of vhost_user_fuzz: what VMMs send, and what they should not."""
import struct

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM,
 SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
 GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE) = range(1, 19)
SET_BACKEND_REQ_FD, GET_CONFIG, SET_CONFIG, RESET_DEVICE = 21, 24, 25, 34
GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG = 36, 37, 38

# Deeds, ways and kinds of descriptors, as in vhost_user_fuzz.cc.
DEFER, ANSWER, TAKE_REPLIES, ADVANCE, WRITE_MEMORY, RUN_RINGS, SHRINK, SHUT_DOWN, SEND_BYTES = range(0xf0, 0xf9)
NEED_REPLY, WITHIN_TWO, LIE, FDS_LATE, UNREAD = 8, 0x10, 0x20, 0x40, 0x80
MEMORY, EVENT, EMPTY, PIPE = 0, 1, 2, 3

USER = 0x7f0000000000
GUEST = 0x10000
FEATURES = (1 << 28) | (1 << 29) | (1 << 30) | (1 << 32)
PROTOCOL = 1 | (1 << 1) | (1 << 3) | (1 << 5) | (1 << 9) | (1 << 10) | (1 << 13) | (1 << 15)


def message(request, body=b"", fds=0, kind=MEMORY, how=0):
    return struct.pack("<BBBH", request, how, fds << 4 | kind, len(body)) + body


def region(size=1 << 20, guest=GUEST, user=USER, offset=0):
    return struct.pack("<QQQQ", guest, size, user, offset)


def table(*regions, count=None):
    body = struct.pack("<II", len(regions) if count is None else count, 0) + b"".join(regions)
    return message(SET_MEM_TABLE, body, fds=len(regions), how=NEED_REPLY)


def add(body, fds=1, kind=MEMORY, how=NEED_REPLY):
    return message(ADD_MEM_REG, bytes(8) + body, fds=fds, kind=kind, how=how)


def state(request, index, number, how=0):
    return message(request, struct.pack("<II", index, number), how=how)


def negotiate(features=FEATURES):
    return (message(GET_FEATURES) + message(GET_PROTOCOL_FEATURES)
            + message(SET_PROTOCOL_FEATURES, struct.pack("<Q", PROTOCOL)) + message(GET_QUEUE_NUM)
            + message(SET_OWNER) + message(SET_FEATURES, struct.pack("<Q", features)) + bytes([TAKE_REPLIES]))


def start(index, size=16, base=0, flags=0, kick=EVENT):
    at = USER + 0x1000 * index
    address = struct.pack("<IIQQQQ", index, flags, at, at + 0x800, at + 0x400, GUEST)
    word = struct.pack("<Q", index)
    return (message(SET_VRING_CALL, word, fds=1, kind=EVENT) + message(SET_VRING_ERR, word, fds=1, kind=EVENT)
            + state(SET_VRING_NUM, index, size) + state(SET_VRING_BASE, index, base)
            + message(SET_VRING_ADDR, address) + message(SET_VRING_KICK, word, fds=1, kind=kick)
            + state(SET_VRING_ENABLE, index, 1))


def write(offset, data):
    return struct.pack("<BIB", WRITE_MEMORY, offset, len(data)) + data


def chain(index):
    """A readable and a writable buffer, made available in ring `index`."""
    base = 0x1000 * index
    return (write(base, struct.pack("<QIHHQIHH", GUEST + 0x8000, 64, 1, 1, GUEST + 0x9000, 64, 2, 0))
            + write(base + 0x400, struct.pack("<HHH", 0, 1, 0)) + bytes([RUN_RINGS]))


def inputs():
    ready = negotiate() + table(region())
    yield "empty", b""
    yield "served", ready + start(0) + start(1) + chain(0) + chain(1) + bytes([RUN_RINGS, TAKE_REPLIES])
    yield "slots", (negotiate() + message(GET_MAX_MEM_SLOTS) + add(region(1 << 16))
                    + add(region(1 << 16, GUEST + (1 << 16), USER + (1 << 16), 1 << 16))
                    + start(1) + chain(1) + message(REM_MEM_REG, bytes(8) + region(1 << 16), how=NEED_REPLY))
    yield "stopped", (ready + start(1) + chain(1) + state(SET_VRING_ENABLE, 1, 0)
                      + state(GET_VRING_BASE, 1, 0) + start(1, base=1) + chain(1))
    yield "reset", ready + start(1) + bytes([DEFER]) + message(RESET_DEVICE, how=NEED_REPLY) + bytes([ANSWER]) + start(1)
    yield "logged", (negotiate(FEATURES | 1 << 26) + table(region())
                     + message(SET_LOG_BASE, struct.pack("<QQ", 4096, 0), fds=1) + start(1, flags=1) + chain(1))
    yield "configuration", (negotiate() + message(GET_CONFIG, struct.pack("<III", 0, 40, 0) + bytes(40))
                            + message(GET_CONFIG, struct.pack("<III", 39, 0xffffffff, 0))
                            + message(SET_CONFIG, struct.pack("<III", 0, 4, 0) + bytes(4)))
    yield "backend_channel", negotiate() + message(SET_BACKEND_REQ_FD, fds=1, kind=9)
    yield "overlapping", ready + add(region(1 << 16, GUEST + 4096, USER)) + table(region(), region())
    yield "lying", (negotiate() + table(region(0)) + table(region(1 << 21)) + table(region((1 << 64) - 1))
                    + table(region(4096, offset=4097)) + table(region(4096, guest=(1 << 64) - 4095))
                    + table(region(4096, offset=(1 << 63))) + table(region(), count=9) + add(region(), kind=EMPTY))
    yield "odd_files", negotiate() + b"".join(add(region(4096, kind << 20, USER + (kind << 20)), kind=kind)
                                              for kind in range(2, 12))
    yield "odd_kicks", ready + b"".join(start(1, kick=kind) for kind in range(12))
    yield "absurd_rings", (ready + state(SET_VRING_NUM, 1, 3) + state(SET_VRING_NUM, 1, 32768) + start(1, size=32768)
                           + state(SET_VRING_NUM, 200, 8) + state(SET_VRING_BASE, 1, 0x10000)
                           + message(SET_VRING_ADDR, struct.pack("<IIQQQQ", 1, 0, 0, (1 << 64) - 1, USER + 1, 0)))
    yield "shrunk", ready + start(1) + struct.pack("<BH", SHRINK, 1) + table(region()) + state(GET_VRING_BASE, 1, 0)
    yield "deferred", (bytes([DEFER]) + negotiate() + table(region()) + message(GET_FEATURES) + bytes([ANSWER, ADVANCE])
                       + start(1) + state(GET_VRING_BASE, 1, 0) + bytes([SHUT_DOWN, ANSWER]))
    yield "in_pieces", (message(GET_FEATURES, how=WITHIN_TWO) + message(SET_OWNER, how=UNREAD)
                        + message(SET_FEATURES, struct.pack("<Q", FEATURES), how=WITHIN_TWO | UNREAD)
                        + bytes([ADVANCE]) + message(SET_MEM_TABLE, bytes(40), fds=1, how=WITHIN_TWO | FDS_LATE))
    yield "wrong_lengths", message(SET_OWNER) + message(SET_FEATURES, bytes(8), how=LIE) + message(GET_FEATURES)
    yield "wrong_flags", message(GET_FEATURES, how=5) + message(GET_FEATURES, how=2)
    yield "no_message", bytes([SEND_BYTES, 40]) + b"\xff" * 40
    yield "every_request", negotiate() + b"".join(message(n, bytes(8), how=NEED_REPLY) for n in range(60))
    yield "polled", ready + message(SET_VRING_KICK, struct.pack("<Q", 0x101)) + start(1)
