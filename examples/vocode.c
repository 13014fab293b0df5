/* Vocodes frames with the C engine alone, as they arrive:
 *
 *     python examples/dump_model.py voice.safetensors voice.dump
 *     vocode voice.dump 7 1 < frames.f32 > out.f32            (seed, temperature)
 *     vocode voice.dump 7 1 0 < frames.f32 > out.f32          (and the number of a speaker)
 *
 * Frames [F][C] and samples [F hop] are float32 without a header.  The samples are those of
 * fastwavenet.vocode(model, frames, seed=7, temperature=1), on every machine. */
#define PROGRAM "vocode"
#include "dump.h"

/* Reads a frame; returns 0 at the end of the input. */
static int take_frame(float *frame, uint32_t channels)
{
    const size_t size = channels * sizeof *frame, found = fread(frame, 1, size, stdin);
    if (ferror(stdin)) fail("input", strerror(errno));
    if (found && found < size) fail("input", "ends within a frame");
    return found > 0;
}

/* The samples of a frame may depend on the next one, so it is read first; behind the last frame its
 * channels are held. */
static void vocode(const dump *voice, uint64_t seed, float temperature, const uint32_t *speaker)
{
    const uint32_t channels = voice->channels, hop = voice->hop;
    float *frames = malloc(2 * channels * sizeof *frames), *audio = malloc(hop * sizeof *audio);
    fwn_stream *stream;
    if (!frames || !audio) fail("frames", "out of memory");
    check("stream", fwn_stream_create(voice->model, best_isa(), 1, 1, &stream));
    check("stream", fwn_stream_reset(stream, 0, seed, 0));
    int more = take_frame(frames, channels);
    while (more) {
        more = take_frame(frames + channels, channels);
        const fwn_io io = {.n = hop,
                           .frames = frames,
                           .n_frames = more ? 2 : 1,
                           .speakers = speaker,
                           .temperature = temperature,
                           .audio = audio};
        check("vocode", fwn_run(stream, &io));
        put(audio, hop * sizeof *audio);
        if (fflush(stdout)) fail("output", strerror(errno)); /* for a player at the other end */
        memcpy(frames, frames + channels, channels * sizeof *frames);
    }
    fwn_stream_destroy(stream);
    free(audio);
    free(frames);
}

int main(int count, char **arguments)
{
    if (count != 4 && count != 5) fail("usage", "vocode MODEL.dump SEED TEMPERATURE [SPEAKER]");
    const uint64_t seed = (uint64_t)number("SEED", arguments[2], 0x1p53); /* exact in a double */
    const float temperature = (float)number("TEMPERATURE", arguments[3], 1000);
    const dump voice = load(arguments[1]);
    if (!voice.channels) fail("model", "takes no frames: use generate");
    if ((count == 5) != (voice.speakers > 0))
        fail("SPEAKER", "is given for a model with speakers only");
    const double most = voice.speakers ? voice.speakers - 1.0 : 0;
    const uint32_t speaker = count == 5 ? (uint32_t)number("SPEAKER", arguments[4], most) : 0;
    vocode(&voice, seed, temperature, voice.speakers ? &speaker : NULL);
    fwn_model_destroy(voice.model);
    return 0;
}
