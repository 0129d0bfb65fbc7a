// The microphone, recorded without loss: 16-bit WAV, which every server of sounds reads.

/** A WAV file of samples between -1 and 1. */
export function wav(chunks, rate) {
  const n = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * n));
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + 2 * n, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, 2 * n, true);
  let at = 44;
  for (const chunk of chunks) {
    for (const sample of chunk) {
      view.setInt16(at, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true);
      at += 2;
    }
  }
  return new File([view.buffer], "recording.wav", { type: "audio/wav" });
}

const REASONS = {
  NotAllowedError: "The browser may not use the microphone. Allow it beside the address, then record again.",
  NotFoundError: "No microphone was found.",
  NotReadableError: "Another program is using the microphone.",
};

/** Whether this page may record at all: browsers allow it over https, and on this computer. */
export const canRecord = () => Boolean(window.isSecureContext && navigator.mediaDevices && window.AudioWorkletNode);

/**
 * Records until `stop()` of what it gives, which gives the file.
 *
 * `heard(seconds, level)` is told how long it is by now, and how loud between 0 and 1.
 */
export async function record(heard) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? "The microphone could not be used.");
  }
  const context = new AudioContext();
  const end = async () => {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
  };
  try {
    await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
  } catch {
    await end();
    throw new Error("This browser cannot record here. Choose a file instead.");
  }
  const chunks = [];
  let samples = 0;
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
  tap.port.onmessage = ({ data }) => {
    chunks.push(data);
    samples += data.length;
    heard(samples / context.sampleRate, Math.max(...data.map(Math.abs)));
  };
  context.createMediaStreamSource(stream).connect(tap);
  await context.resume();
  return {
    async stop() {
      const rate = context.sampleRate;
      await end();
      if (!samples) throw new Error("Nothing came from the microphone.");
      return wav(chunks, rate);
    },
  };
}
