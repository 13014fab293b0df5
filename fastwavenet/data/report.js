for (const figure of document.querySelectorAll("figure[data-sound]")) {
  const audio = figure.querySelector("audio"), line = figure.querySelector(".now");
  const move = () => {
    line.style.left = 100 * audio.currentTime / audio.duration + "%";
    if (!audio.paused) requestAnimationFrame(move);
  };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    line.style.opacity = 1;
    move();
  });
  audio.addEventListener("seeked", move);
  figure.querySelector(".picture").addEventListener("click", event => {
    const box = event.currentTarget.getBoundingClientRect();
    if (audio.duration) audio.currentTime = audio.duration * (event.clientX - box.left) / box.width;
    audio.play();
  });
}
