"""IR built, optimized, written as assembly, and run by both JIT compilers."""

from __future__ import annotations

import json
import os
import platform
from ctypes import CFUNCTYPE, POINTER, c_double, c_float, c_int64
from pathlib import Path

import llvmlite
from llvmlite import binding, ir

I64, DOUBLE, FLOAT = ir.IntType(64), ir.DoubleType(), ir.FloatType()
ABI = {"riscv64": "lp64d"}.get(platform.machine(), "")
SIZES = (0, 1, 3, 8, 31, 64, 257)


def fibonacci(module: ir.Module) -> None:
    """Define a function that calls itself."""
    function = ir.Function(module, ir.FunctionType(I64, [I64]), "fibonacci")
    (number,) = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    with builder.if_then(builder.icmp_signed("<", number, I64(2))):
        builder.ret(number)
    earlier = [builder.call(function, [builder.sub(number, I64(step))]) for step in (1, 2)]
    builder.ret(builder.add(*earlier))


def scaled(module: ir.Module) -> None:
    """Define a loop that the optimizer turns into vectors: out[i] = a[i] * factor + out[i]."""
    kind = ir.FunctionType(ir.VoidType(), [FLOAT.as_pointer(), FLOAT.as_pointer(), FLOAT, I64])
    function = ir.Function(module, kind, "scaled")
    out, values, factor, length = function.args
    out.add_attribute("noalias")
    start = function.append_basic_block("start")
    loop, end = function.append_basic_block("loop"), function.append_basic_block("end")
    builder = ir.IRBuilder(start)
    builder.cbranch(builder.icmp_signed(">", length, I64(0)), loop, end)
    builder.position_at_end(loop)
    index = builder.phi(I64)
    target = builder.gep(out, [index], source_etype=FLOAT)
    product = builder.fmul(builder.load(builder.gep(values, [index], source_etype=FLOAT), typ=FLOAT), factor)
    builder.store(builder.fadd(product, builder.load(target, typ=FLOAT)), target)
    following = builder.add(index, I64(1))
    index.add_incoming(I64(0), start)
    index.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, length), loop, end)
    ir.IRBuilder(end).ret_void()


def called_back(module: ir.Module) -> None:
    """Define a function that calls Python's, with many numbers, and libm's."""
    kind = ir.FunctionType(DOUBLE, [DOUBLE] * 12)
    function = ir.Function(module, ir.FunctionType(DOUBLE, [kind.as_pointer(), DOUBLE]), "called_back")
    callback, number = function.args
    power = ir.Function(module, ir.FunctionType(DOUBLE, [DOUBLE, DOUBLE]), "pow")
    builder = ir.IRBuilder(function.append_basic_block())
    powers = [builder.call(power, [number, DOUBLE(step)]) for step in range(12)]
    builder.ret(builder.call(callback, powers))


def optimized(text: str, machine: binding.TargetMachine) -> binding.ModuleRef:
    module = binding.parse_assembly(text)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def run(address_of: object) -> None:
    """Call the compiled functions and compare with Python's results."""
    assert CFUNCTYPE(c_int64, c_int64)(address_of("fibonacci"))(20) == 6765
    multiply = CFUNCTYPE(None, POINTER(c_float), POINTER(c_float), c_float, c_int64)(address_of("scaled"))
    for size in SIZES:
        out, values = (c_float * size)(*range(size)), (c_float * size)(*[number / 4 for number in range(size)])
        multiply(out, values, 8.0, size)
        assert list(out) == [3.0 * number for number in range(size)], size
    kind = CFUNCTYPE(c_double, *[c_double] * 12)
    weighted = kind(lambda *numbers: sum(place * number for place, number in enumerate(numbers)))
    call = CFUNCTYPE(c_double, kind, c_double)(address_of("called_back"))
    assert call(weighted, 1.5) == sum(place * 1.5**place for place in range(12))


def machine_of(features: str) -> binding.TargetMachine:
    target = binding.Target.from_default_triple()
    return target.create_target_machine(features=features, opt=3, codemodel="jitdefault", jit=True, abiname=ABI)


binding.initialize_native_target()
binding.initialize_native_asmprinter()
source = ir.Module("smoke")
source.triple = binding.get_default_triple()
for define in (fibonacci, scaled, called_back):
    define(source)
text = str(source)

host = binding.get_host_cpu_features()
features = host.flatten()
machine = machine_of(features)
module = optimized(text, machine)
assembly = machine.emit_assembly(module)
again = binding.parse_bitcode(module.as_bitcode())
assert str(again).count("define ") == 3, str(again)
with binding.create_mcjit_compiler(again, machine) as engine:
    engine.finalize_object()
    run(engine.get_function_address)

jit = binding.create_lljit_compiler(machine_of(features), use_jit_link=True, suppress_errors=False)
builder = binding.JITLibraryBuilder().add_ir(str(module)).add_current_process()
for name in ("fibonacci", "scaled", "called_back"):
    builder.export_symbol(name)
library = builder.link(jit, "smoke")
run(library.__getitem__)

try:
    binding.parse_assembly("define i64 @wrong() { ret double 1.0 }")
except RuntimeError as error:
    refusal = str(error)
else:
    raise AssertionError("wrong IR was accepted")
assert "value doesn't match function result type" in refusal, refusal

vectors = "vfmacc.v" in assembly or "vfmadd.v" in assembly or "vfmul.v" in assembly
major = ".".join(map(str, binding.llvm_version_info))
shown = f"llvmlite {llvmlite.__version__}, LLVM {major}: three functions by MCJIT and ORC, vectors: {vectors}"
result = {"shown": shown, "facts": {"vectors": vectors}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
