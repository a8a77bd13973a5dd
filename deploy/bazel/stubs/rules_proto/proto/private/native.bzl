"""Exposes the native provider under a name defs.bzl can re-export."""

NativeProtoInfo = ProtoInfo
