// The box beside a cell.
const tip = at("tip");
const showTip = (button, text) => {
  tip.textContent = text;
  tip.hidden = false;
  const box = button.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - own.width - 8))}px`;
  tip.style.top = `${box.bottom + own.height + 8 < innerHeight ? box.bottom + 4 : Math.max(4, box.top - own.height - 4)}px`;
};
const hideTip = () => { tip.hidden = true; };
