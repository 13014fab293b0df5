# cython: language_level=3, boundscheck=True, wraparound=False, freethreading_compatible=True
"""The border between Python and csrc/fastwavenet.h.

It owns memory, checks shapes, makes one call without the GIL, and turns error codes into
exceptions.  There is no arithmetic here.

It is longer than other files because networks, streams, coders and mu-law tables share its private
C functions, which parts in separate modules could share only through a public C interface.

It needs no global lock: networks and mu-law tables never change, a stream refuses a second call
while one runs, and nothing in this module is changed after its import.
"""

from _thread import allocate_lock, get_ident
from array import array

from cpython.buffer cimport (
    PyBUF_ANY_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset


cdef extern from *:
    """
    #ifdef __clang__
    #define FWN_COMPILER "clang " __clang_version__
    #else
    #define FWN_COMPILER "gcc " __VERSION__
    #endif
    """
    const char *FWN_COMPILER
    const char *FWN_FLAGS  # from setup.py


class NotFiniteError(ArithmeticError):
    """The network's outputs overflowed; the generator must be reset."""


class StateError(ValueError):
    """Bytes that are not a saved state of this model."""


class BusyError(RuntimeError):
    """A generator was used by two calls at once; the second one changed nothing."""


cdef dict _EXCEPTIONS = {
    FWN_NO_MEMORY: MemoryError,
    FWN_BAD_STATE: StateError,
    FWN_BUSY: BusyError,
    FWN_STARTED: RuntimeError,
    FWN_FORKED: RuntimeError,
    FWN_NOT_FINITE: NotFiniteError,
}


cdef int check(int code) except -1:
    if code == FWN_OK:
        return 0
    raise _EXCEPTIONS.get(code, ValueError)(fwn_strerror(code).decode())


def build_info():
    """Compiler and flags of this build."""
    return f"{FWN_COMPILER.decode().strip()}, {FWN_FLAGS.decode()}"


def isa_names():
    """All instruction sets of this version, by number."""
    return [fwn_isa_name(isa).decode() for isa in range(FWN_ISAS)]


def supported_isas():
    """Those this CPU and operating system can run, worst to best."""
    cdef int found[16]
    cdef int count = fwn_isa_list(found, 16)
    return [fwn_isa_name(found[i]).decode() for i in range(count)]


cdef int isa_number(str name) except -1:
    return isa_names().index(name)


def precision_names():
    """All number formats of this version, exact to small."""
    return [fwn_precision_name(precision).decode() for precision in range(FWN_PRECISIONS)]


cdef int precision_number(str name) except -1:
    return precision_names().index(name)


def probe_reading(str isa not None, const uint8_t[::1] memory not None, size_t times):
    """Reads whole vectors of 64 bytes again and again; see fwn_probe_reading."""
    cdef int number = isa_number(isa), code
    cdef size_t size = memory.shape[0]
    if not size:
        check(FWN_BAD_ARGUMENT)
    with nogil:
        code = fwn_probe_reading(number, &memory[0], size, times)
    check(code)


def probe_products(str isa not None, str precision not None, size_t times):
    """Multiplies in a precision, and returns the number of products; see fwn_probe_products."""
    cdef int number = isa_number(isa), format = precision_number(precision), code
    cdef uint64_t products
    with nogil:
        code = fwn_probe_products(number, format, times, &products)
    check(code)
    return products


cdef class Network:
    """A packed, immutable model."""

    cdef fwn_model *model
    cdef readonly int levels, frame_channels, speakers
    cdef uint32_t stages
    cdef fwn_upsampling upsampling[16]

    def __cinit__(self, spec, dict weights, str precision not None):
        """weights: name -> C-contiguous float32 array, as checked by modelfile.check_weights."""
        cdef int number = precision_number(precision)
        cdef uint32_t[::1] kernels = _words(spec.kernel)
        cdef uint32_t[::1] dilations = _words(spec.dilations)
        cdef fwn_spec sizes
        sizes.levels = self.levels = spec.levels
        sizes.residual = spec.residual
        sizes.dilation_channels = spec.dilation_channels
        sizes.skip = spec.skip
        sizes.head = spec.head
        sizes.first_kernel = spec.input.taps
        sizes.layers = spec.layers
        sizes.kernels = &kernels[0]
        sizes.dilations = &dilations[0]
        sizes.start_code = spec.start.code
        sizes.first_tanh = spec.input.activation == "tanh"
        sizes.first_from_start = spec.input.padding == "start"
        cdef fwn_codec codec = numbers_of(spec.codec)
        sizes.codec = &codec
        self.frame_channels = self.speakers = 0
        sizes.frame_channels = sizes.frame_hop = sizes.frame_linear = 0
        sizes.speakers = sizes.speaker_channels = sizes.stages = 0
        sizes.upsampling = self.upsampling
        if spec.conditioning is not None:
            sizes.frame_channels = self.frame_channels = spec.conditioning.feature_channels
            sizes.frame_hop = spec.conditioning.feature_hop
            sizes.frame_linear = spec.conditioning.interpolation == "linear"
            sizes.speakers = self.speakers = len(spec.conditioning.speakers)
            sizes.speaker_channels = spec.conditioning.speaker_channels
            sizes.stages = describe_upsampling(self.upsampling, spec.conditioning)
        self.stages = sizes.stages
        cdef list names = [name.encode() for name in weights]  # keeps the bytes alive
        cdef size_t i, count = len(weights)
        cdef int code
        cdef fwn_tensor *tensors = <fwn_tensor *>calloc(count, sizeof(fwn_tensor))
        if tensors == NULL:
            raise MemoryError
        try:
            for i, tensor in enumerate(weights.values()):
                tensors[i].name = names[i]
                bind(&tensors[i], tensor)
            with nogil:
                code = fwn_model_create(&sizes, tensors, count, number, &self.model)
        finally:
            free(tensors)
        check(code)

    def __dealloc__(self):
        fwn_model_destroy(self.model)

    def info(self):
        cdef fwn_info info
        check(fwn_model_info(self.model, &info))
        return {"arena_bytes": info.arena_bytes, "step_bytes": info.step_bytes,
                "fingerprint": info.fingerprint, "arena": <size_t>info.arena}

    def upsample(self, str isa not None, uint32_t stage, const float[:, :, ::1] inputs not None,
                 float[:, :, ::1] outputs not None):
        """A stage of the upsampling; see fwn_upsample.  Arrays (rows, inputs, channels)."""
        if stage >= self.stages:
            check(FWN_BAD_ARGUMENT)
        cdef fwn_upsampling *sizes = &self.upsampling[stage]
        cdef uint32_t before, after, rows = inputs.shape[0]
        cdef int number = isa_number(isa), code
        cdef size_t n = inputs.shape[1]
        fwn_upsampling_reach(sizes, &before, &after)
        count = (inputs.shape[1] - before - after) * sizes.stride
        expect("inputs", inputs.shape, (rows, n, sizes.inputs))
        expect("outputs", outputs.shape, (rows, count, sizes.outputs))
        with nogil:
            code = fwn_upsample(self.model, number, stage, rows, n, &inputs[0, 0, 0],
                                &outputs[0, 0, 0])
        check(code)

    def stream_bytes(self, uint32_t rows):
        return fwn_stream_bytes(self.model, rows)


cdef fwn_codec numbers_of(codec) except *:
    """The numbers of an ends.MuLawCodec."""
    cdef fwn_codec numbers
    numbers.mu = codec.mu
    numbers.steps = codec.steps
    numbers.encode_offset = codec.encode_offset
    numbers.decode_offset = codec.decode_offset
    numbers.decode_divisor = codec.decode_divisor
    numbers.pre_emphasis = codec.pre_emphasis
    return numbers


cdef uint32_t describe_upsampling(fwn_upsampling *sizes, end) except? 0:
    """The sizes of an ends.FrameConditioning's stages; returns their number."""
    cdef uint32_t inputs = end.channels, count = 0
    for stage in end.upsampling:
        sizes[count].inputs = inputs
        sizes[count].outputs = inputs = stage.channels
        sizes[count].kernel = stage.kernel
        sizes[count].stride = stage.stride
        sizes[count].crop = stage.crop
        sizes[count].relu = stage.activation == "relu"
        count += 1
    return count


cdef uint32_t[::1] _words(values):
    return array("I", values)


cdef int bind(fwn_tensor *tensor, weight) except -1:
    """Points a tensor at an array that the caller keeps alive."""
    cdef const float[::1] flat = weight.reshape(-1)
    tensor.data = &flat[0]
    tensor.rank = weight.ndim
    for axis in range(weight.ndim):
        tensor.shape[axis] = weight.shape[axis]
    return 0


cdef int expect(str name, const Py_ssize_t *found, tuple shape) except -1:
    """A view's shape; no side may be 0."""
    cdef Py_ssize_t axis, size
    for axis, size in enumerate(shape):
        if found[axis] != size or size == 0:
            sides = tuple(found[i] for i in range(len(shape)))
            raise ValueError(f"{name} must have shape {shape}, not {sides}")
    return 0


cdef dict described(const fwn_row_info *info):
    return {"seed": info.seed, "step": info.step, "id": info.id, "begun": bool(info.begun),
            "last": info.last}


cdef class Stream:
    """Rows of a network in step; see fwn_stream.

    `with stream:` makes one use of the calls within, which another thread cannot come between: it
    gets BusyError.  A signal's exception cannot come between taking the lock and the block.
    """

    cdef fwn_stream *stream
    cdef object __weakref__
    cdef object lock, user
    cdef uint64_t uses
    cdef readonly Network network
    cdef readonly uint32_t rows

    def __cinit__(self, Network network not None, str isa not None, uint32_t rows,
                  uint32_t threads):
        cdef int number = isa_number(isa), code
        self.network = network
        self.rows = rows
        self.lock = allocate_lock()
        with nogil:
            code = fwn_stream_create(network.model, number, rows, threads, &self.stream)
        check(code)

    def __dealloc__(self):
        with nogil:  # it may wait for a thread to end
            fwn_stream_destroy(self.stream)

    def __enter__(self):
        if not self.lock.acquire(False):
            check(FWN_BUSY)
        self.uses += 1
        self.user = get_ident()

    def __exit__(self, kind, error, trace):
        self.lock.release()

    def use(self):
        """Number of the use that goes on, from 1; 0: there is none."""
        return self.uses if self.lock.locked() else 0

    def used_here(self):
        """Whether the use that goes on is of the calling thread."""
        return self.lock.locked() and self.user == get_ident()

    def forked(self):
        """In a child process: ends the use of a thread that exists in the parent only.

        The thread that forked, perhaps from a progress function, goes on here too.
        """
        if self.lock.locked() and self.user != get_ident():
            self.lock = allocate_lock()
            check(fwn_stream_forked(self.stream))

    def threads(self):
        return fwn_stream_threads(self.stream)

    def set_threads(self, uint32_t threads):
        check(fwn_stream_set_threads(self.stream, threads))

    def reset(self, uint32_t row, uint64_t seed, uint32_t id):
        check(fwn_stream_reset(self.stream, row, seed, id))

    def begin(self, uint32_t row, uint32_t code):
        check(fwn_stream_begin(self.stream, row, code))

    def set_last(self, uint32_t row, float audio):
        """The amplitude from which pre-emphasis continues, after its code was forced."""
        check(fwn_stream_set_last(self.stream, row, audio))

    def info(self, uint32_t row):
        cdef fwn_row_info info
        check(fwn_stream_info(self.stream, row, &info))
        return described(&info)

    def run(self, uint32_t n, *, const uint16_t[:, ::1] forced=None,
            const float[:, :, ::1] frames=None, uint64_t frame_at=0,
            const uint32_t[::1] speakers=None,
            float temperature=1.0, uint32_t top_k=0, float min_p=0.0,
            const float[:, ::1] frame_temperature=None, const float[:, ::1] frame_min_p=None,
            Coders coders=None, const uint32_t[::1] widths=None, uint16_t[:, ::1] places=None,
            uint16_t[:, ::1] codes=None, float[:, ::1] audio=None, float[:, ::1] logp=None,
            float[:, :, ::1] logits=None):
        """n steps of every row; arrays of shape (rows, n), frames (frames, rows, channels).

        Sample i of the run belongs to frame (frame_at + i) // hop, or the last one.
        speakers: (rows,), an index for each row.
        frame_temperature, frame_min_p: (frames, rows), instead of temperature and min_p.
        coders: forced samples are encoded, others decoded.  widths: (levels,); places: (rows, n).
        """
        cdef fwn_io io
        cdef int code
        if n == 0:
            return
        memset(&io, 0, sizeof(io))
        io.n = n
        io.frame_at = frame_at
        io.temperature = temperature
        io.top_k = top_k
        io.min_p = min_p
        if forced is not None:
            expect("forced", forced.shape, (self.rows, n))
            io.forced = &forced[0, 0]
        if frames is not None:
            channels = self.network.frame_channels
            expect("frames", frames.shape, (frames.shape[0], self.rows, channels))
            io.frames = &frames[0, 0, 0]
            io.n_frames = frames.shape[0]
        if frame_temperature is not None:
            expect("frame_temperature", frame_temperature.shape, (io.n_frames, self.rows))
            io.frame_temperature = &frame_temperature[0, 0]
        if frame_min_p is not None:
            expect("frame_min_p", frame_min_p.shape, (io.n_frames, self.rows))
            io.frame_min_p = &frame_min_p[0, 0]
        if speakers is not None:
            expect("speakers", speakers.shape, (self.rows,))
            io.speakers = &speakers[0]
        if coders is not None:
            expect_rows(coders, self.rows)
            io.coders = coders.coder
        if widths is not None:
            expect("widths", widths.shape, (self.network.levels,))
            io.widths = &widths[0]
        if places is not None:
            expect("places", places.shape, (self.rows, n))
            io.places = &places[0, 0]
        if codes is not None:
            expect("codes", codes.shape, (self.rows, n))
            io.codes = &codes[0, 0]
        if audio is not None:
            expect("audio", audio.shape, (self.rows, n))
            io.audio = &audio[0, 0]
        if logp is not None:
            expect("logp", logp.shape, (self.rows, n))
            io.logp = &logp[0, 0]
        if logits is not None:
            expect("logits", logits.shape, (self.rows, n, self.network.levels))
            io.logits = &logits[0, 0, 0]
        with nogil:
            code = fwn_run(self.stream, &io)
        check(code)

    def state_bytes(self):
        """The size of a saved row."""
        cdef size_t size = 0
        check(fwn_state_save(self.stream, 0, NULL, &size))
        return size

    def save(self, uint32_t row):
        cdef size_t size = self.state_bytes()
        cdef bytearray state = bytearray(size)
        cdef unsigned char[::1] view = state
        check(fwn_state_save(self.stream, row, &view[0], &size))
        return bytes(state)

    def check(self, const unsigned char[::1] state not None):
        """The `info` of a row after loading this state; StateError if it is none."""
        cdef fwn_row_info info
        if state.shape[0] == 0:
            check(FWN_BAD_STATE)
        check(fwn_state_check(self.stream, &state[0], state.shape[0], &info))
        return described(&info)

    def load(self, uint32_t row, const unsigned char[::1] state not None):
        if state.shape[0] == 0:
            check(FWN_BAD_STATE)
        check(fwn_state_load(self.stream, row, &state[0], state.shape[0]))


cdef class Coders:
    """Range coders of the rows of a stream, encoders or decoders; see fwn_coder.

    samples: number of each row's samples.
    given: None for encoders; bytes to decode of each row, of at least one byte.
    """

    cdef fwn_coder *coder
    cdef list given
    cdef readonly uint32_t rows

    def __cinit__(self, samples, list given=None):
        cdef uint32_t row
        cdef size_t size
        cdef uint8_t *to
        cdef const uint8_t[::1] view
        self.rows, self.given = len(samples), given
        self.coder = <fwn_coder *>calloc(self.rows, sizeof(fwn_coder))
        if self.coder == NULL:
            raise MemoryError
        for row in range(self.rows):
            if given is not None:
                view = given[row]
                size = view.shape[0]
                check(fwn_decoder_begin(&self.coder[row], &view[0] if size else NULL, size,
                                        samples[row]))
                continue
            size = FWN_CODED_BYTES(samples[row])
            to = <uint8_t *>malloc(size)
            if to == NULL:
                raise MemoryError
            check(fwn_encoder_begin(&self.coder[row], to, size, samples[row]))

    def __dealloc__(self):
        cdef uint32_t row
        for row in range(self.rows if self.coder != NULL else 0):
            free(self.coder[row].to)
        free(self.coder)

    def encoded(self, uint32_t row):
        """The bytes of an encoder's row, all of whose samples are encoded; called once."""
        expect_row(row, self.rows)
        check(fwn_encoder_end(&self.coder[row]))
        return (<char *>self.coder[row].to)[:self.coder[row].used]

    def whole(self, uint32_t row):
        """Whether a decoder's row has decoded all samples, from exactly its bytes."""
        expect_row(row, self.rows)
        return fwn_decoder_end(&self.coder[row]) == FWN_OK


cdef int expect_row(uint32_t row, uint32_t rows) except -1:
    if row >= rows:
        raise IndexError(f"row must be below {rows}, not {row}")
    return 0


cdef int expect_rows(Coders coders, uint32_t rows) except -1:
    if coders.rows != rows:
        raise ValueError(f"coders must be of {rows} rows, not {coders.rows}")
    return 0


cdef class MuLaw:
    """mu-law tables of one number of levels and one codec; see fwn_mulaw."""

    cdef fwn_mulaw *codec
    cdef char code_kind

    def __cinit__(self, uint32_t levels, codec=None):
        """codec: an ends.MuLawCodec, whose pre-emphasis is not applied; None: the symmetric one."""
        cdef fwn_codec numbers
        self.code_kind = b"B" if levels <= 256 else b"H"
        if codec is not None:
            numbers = numbers_of(codec)
        check(fwn_mulaw_create(levels, NULL if codec is None else &numbers, &self.codec))

    def __dealloc__(self):
        fwn_mulaw_destroy(self.codec)

    def encode(self, str isa not None, audio, codes):
        """float32 or int16 to codes; returns whether all values were finite."""
        cdef _Items x = _Items(audio, PyBUF_SIMPLE), out = _Items(codes, PyBUF_WRITABLE)
        cdef int number = isa_number(isa), code
        expect_items(out, self.code_kind, x.count)
        expect_items(x, b"h" if x.kind == b"h" else b"f", x.count)
        with nogil:
            if x.kind == b"h":
                code = fwn_mulaw_encode_i16(self.codec, number, <const int16_t *>x.view.buf,
                                            x.count, out.view.buf)
            else:
                code = fwn_mulaw_encode_f32(self.codec, number, <const float *>x.view.buf,
                                            x.count, out.view.buf, NULL)
        return code != FWN_BAD_AUDIO and check(code) == 0

    def decode(self, str isa not None, codes, audio):
        """Codes to float32 or int16; returns whether all codes were below `levels`."""
        cdef _Items x = _Items(audio, PyBUF_WRITABLE), given = _Items(codes, PyBUF_SIMPLE)
        cdef int number = isa_number(isa), code
        expect_items(given, self.code_kind, x.count)
        expect_items(x, b"h" if x.kind == b"h" else b"f", x.count)
        with nogil:
            if x.kind == b"h":
                code = fwn_mulaw_decode_i16(self.codec, number, given.view.buf, x.count,
                                            <int16_t *>x.view.buf, NULL)
            else:
                code = fwn_mulaw_decode_f32(self.codec, number, given.view.buf, x.count,
                                            <float *>x.view.buf, NULL)
        return code != FWN_BAD_CODE and check(code) == 0


def pre_emphasise(codec, float[:, ::1] x, float[::1] before):
    """Pre-emphasis of each row of x, in place; `before` (rows,) becomes their last amplitudes."""
    cdef fwn_codec numbers = numbers_of(codec)
    cdef Py_ssize_t row, n = x.shape[1]
    cdef float last
    expect("before", before.shape, (x.shape[0],))
    for row in range(x.shape[0] if n else 0):
        last = x[row, n - 1]
        check(fwn_pre_emphasis(&numbers, &x[row, 0], n, before[row], &x[row, 0]))
        before[row] = last


def de_emphasise(codec, float[:, ::1] y, float[::1] before):
    """The inverse of `pre_emphasise`, in place too."""
    cdef fwn_codec numbers = numbers_of(codec)
    cdef Py_ssize_t row, n = y.shape[1]
    expect("before", before.shape, (y.shape[0],))
    for row in range(y.shape[0] if n else 0):
        check(fwn_de_emphasis(&numbers, &y[row, 0], n, before[row], &y[row, 0]))
        before[row] = y[row, n - 1]


cdef class _Items:
    """The memory of a contiguous array of any shape."""

    cdef Py_buffer view
    cdef size_t count
    cdef char kind  # a letter of the struct module; 0 for types of several

    def __cinit__(self, owner, int flags):
        PyObject_GetBuffer(owner, &self.view, flags | PyBUF_ANY_CONTIGUOUS | PyBUF_FORMAT)
        self.count = self.view.len // self.view.itemsize
        self.kind = self.view.format[0] if self.view.format[1] == 0 else 0

    def __dealloc__(self):
        PyBuffer_Release(&self.view)


cdef int expect_items(_Items items, char kind, size_t count) except -1:
    if items.kind != kind or items.count != count:
        raise ValueError(f"expected {count} of type {chr(kind)!r}, "
                         f"not {items.count} of {items.view.format.decode()!r}")
    return 0
