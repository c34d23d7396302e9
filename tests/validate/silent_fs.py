"""Mounts a file system that never answers: silent_fs.py DIRECTORY (as root).

Whoever looks into it sleeps in the kernel's state D, and not even SIGKILL
wakes him up, until this program ends. Prints `mounted` when it is.
"""

import ctypes
import os
import struct
import sys

INIT = 26

directory = sys.argv[1]
device = os.open("/dev/fuse", os.O_RDWR)
options = "fd={},rootmode=40000,user_id=0,group_id=0".format(device).encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"silent", directory.encode(), b"fuse", 0, options) != 0:
    sys.exit("cannot mount: " + os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
while True:
    request = os.read(device, 1 << 20)
    _, opcode, unique = struct.unpack_from("IIQ", request)
    if opcode == INIT:
        body = struct.pack("IIIIHHIIHH8I", 7, 31, 0, 0, 16, 12, 4096, 1, 1, 0, *[0] * 8)
        os.write(device, struct.pack("IiQ", 16 + len(body), 0, unique) + body)
