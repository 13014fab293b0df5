const players = [...document.querySelectorAll("figure audio")];

for (const audio of players) {
  const picture = audio.closest("figure").querySelector(".picture");
  const line = picture.querySelector(".now");
  const move = () => {
    line.style.left = 100 * audio.currentTime / audio.duration + "%";
    if (!audio.paused) requestAnimationFrame(move);
  };
  audio.addEventListener("play", () => {
    for (const other of players) if (other !== audio) other.pause();
    line.style.opacity = 1;
    move();
  });
  audio.addEventListener("seeked", move);
  picture.addEventListener("click", event => {
    const box = picture.getBoundingClientRect();
    if (audio.duration) audio.currentTime = audio.duration * (event.clientX - box.left) / box.width;
    audio.play();
  });
}

// Buttons that continue with another version at the position of the present one; also keys 1 to 9.
for (const group of document.querySelectorAll(".compare")) {
  const versions = [...group.querySelectorAll("audio")];
  const bar = group.querySelector(".switch");
  let present = versions[0];
  const buttons = versions.map((audio, index) => {
    const button = document.createElement("button");
    const press = () => button.setAttribute("aria-pressed", audio === present && !audio.paused);
    button.textContent = `${index + 1} ${audio.closest("figure").querySelector("b").textContent}`;
    button.addEventListener("click", () => {
      if (audio === present && !audio.paused) return audio.pause();
      present.pause();
      audio.currentTime = present.ended ? 0 : present.currentTime;
      audio.play();
    });
    audio.addEventListener("play", () => { present = audio; press(); });
    audio.addEventListener("pause", press);
    audio.preload = "auto";
    press();
    return button;
  });
  group.addEventListener("keydown", event => {
    const button = buttons[event.key - 1];
    if (button && !event.ctrlKey && !event.altKey && !event.metaKey) button.click();
  });
  bar.append(...buttons);
  bar.hidden = false;
}
