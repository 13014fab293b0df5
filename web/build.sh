#!/bin/sh
# Builds the engine as a WebAssembly module without imports, in the root of the source tree:
#   sh web/build.sh web/build/fastwavenet.wasm
# docs/wasm.md describes its functions and its memory.
set -eu
out=$1
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

compile() {
    clang --target=wasm32-wasi -std=gnu11 -O3 -ffp-contract=off -fno-fast-math -fno-math-errno \
        -fno-trapping-math -fvisibility=hidden -msimd128 -Icsrc "$@"
}

echo 'int main(void) { return 0; }' >"$objects/empty.c"
if ! compile "$objects/empty.c" -o "$objects/empty" 2>"$objects/why"; then
    cat "$objects/why"
    echo "skipped $out: expected clang with wasm-ld and a C library for wasm32-wasi;" \
        "on Debian: apt install clang lld wasi-libc libclang-rt-dev-wasm32"
    exit 0
fi

for file in arena model pack upsample stream run state threads pool mulaw range_coder probe dispatch; do
    compile -c "csrc/$file.c" -o "$objects/$file.o"
done
for precision in 0 1 2 3 4; do
    compile -DFWN_PRECISION=$precision -c csrc/kernels/isa_wasm.c -o "$objects/wasm_$precision.o"
done
compile -c web/layout.c -o "$objects/layout.o"

# Every function of the contract, and the memory to call them with.
functions=$(sed -n 's/^[a-z].*[ *]\(fwn_[a-z0-9_]*\)(.*/\1/p' csrc/fastwavenet.h)
exports=
for name in malloc free $functions; do exports="$exports -Wl,--export=$name"; done
mkdir -p "$(dirname "$out")"
# shellcheck disable=SC2086
compile -nostartfiles -Wl,--no-entry,--stack-first,--strip-all,-z,stack-size=1048576 $exports \
    "$objects"/*.o -o "$objects/module.wasm"
mv "$objects/module.wasm" "$out"
echo "$out: $(wc -c <"$out") bytes"
