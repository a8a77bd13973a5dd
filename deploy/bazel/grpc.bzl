"""cc_grpc_library: C++ gRPC stubs from a proto_library, with the system's protoc."""

def _grpc_codegen_impl(ctx):
    info = ctx.attr.proto[ProtoInfo]
    prefix = ctx.label.package + "/" if ctx.label.package else ""
    srcs, hdrs, names = [], [], []
    for proto in info.direct_sources:
        # Name protoc knows the file by: path below its source root.
        root = info.proto_source_root
        name = proto.path
        if root != "." and name.startswith(root + "/"):
            name = name[len(root) + 1:]
        if not name.startswith(prefix):
            fail("%s must be declared in the package of its .proto file" % ctx.label)
        stem = name[len(prefix):-len(".proto")]
        names.append(name)
        srcs.append(ctx.actions.declare_file(stem + ".grpc.pb.cc"))
        hdrs.append(ctx.actions.declare_file(stem + ".grpc.pb.h"))
        if ctx.attr.mocks:
            hdrs.append(ctx.actions.declare_file(stem + "_mock.grpc.pb.h"))

    sets = info.transitive_descriptor_sets
    out_root = ctx.bin_dir.path
    if ctx.label.workspace_root:
        out_root += "/" + ctx.label.workspace_root

    args = ctx.actions.args()
    args.add_joined("--descriptor_set_in", sets, join_with = ":", format_joined = "%s")
    args.add("--plugin=protoc-gen-grpc=" + ctx.executable._plugin.path)
    args.add("--grpc_out=%s%s" % ("generate_mock_code=true:" if ctx.attr.mocks else "", out_root))
    args.add_all(names)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [args],
        inputs = sets,
        tools = [ctx.executable._plugin],
        outputs = srcs + hdrs,
        mnemonic = "GenGrpc",
        progress_message = "Generating gRPC code for %s" % ctx.label,
    )
    return [
        DefaultInfo(files = depset(srcs + hdrs)),
        OutputGroupInfo(srcs = depset(srcs), hdrs = depset(hdrs)),
    ]

_grpc_codegen = rule(
    implementation = _grpc_codegen_impl,
    attrs = {
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "mocks": attr.bool(default = False),
        "_protoc": attr.label(
            default = "@com_google_protobuf//:protoc",
            allow_single_file = True,
            executable = True,
            cfg = "host",
        ),
        "_plugin": attr.label(
            default = "@com_google_protobuf//:grpc_cpp_plugin",
            allow_single_file = True,
            executable = True,
            cfg = "host",
        ),
    },
)

def cc_grpc_library(name, proto, deps, mocks = False, **kwargs):
    """C++ gRPC service stubs.

    Args:
      name: the cc_library's name.
      proto: the proto_library that declares the services.
      deps: the cc_proto_library targets for its messages.
      mocks: also generate *_mock.grpc.pb.h.
      **kwargs: passed on to cc_library.
    """
    codegen = "_" + name + "_codegen"
    _grpc_codegen(name = codegen, proto = proto, mocks = mocks, visibility = ["//visibility:private"])
    native.filegroup(name = codegen + "_srcs", srcs = [":" + codegen], output_group = "srcs")
    native.filegroup(name = codegen + "_hdrs", srcs = [":" + codegen], output_group = "hdrs")
    native.cc_library(
        name = name,
        srcs = [":" + codegen + "_srcs"],
        hdrs = [":" + codegen + "_hdrs"],
        deps = deps + ["@system//:grpc++"],
        **kwargs
    )
