"use strict";
// A pointer over a job lights it up in every plot and in the table; a click on a column's head sorts by it.
const light = (number) => {
  document.querySelectorAll(".job.on").forEach((mark) => mark.classList.remove("on"));
  document.body.classList.toggle("lit", number !== undefined);
  if (number === undefined) return;
  document.querySelectorAll(`.job[data-job="${Number(number)}"]`).forEach((mark) => {
    mark.classList.add("on");
    if (mark.ownerSVGElement) mark.parentNode.appendChild(mark);
  });
};
let last;
document.addEventListener("mouseover", (event) => {
  const number = event.target.closest?.(".job")?.dataset.job;
  if (number !== last) light((last = number));
});
document.querySelectorAll("th[data-column]").forEach((head) => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], up = head.dataset.up !== "1";
  head.parentNode.querySelectorAll("th").forEach((other) => { other.dataset.up = other === head && up ? "1" : "0"; });
  const value = (row) => row.cells[head.cellIndex].dataset.sort ?? "";
  const compare = (one, other) => {
    const [a, b] = [value(one), value(other)], [x, y] = [Number(a), Number(b)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return (up ? 1 : -1) * (Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y);
  };
  [...body.rows].sort(compare).forEach((row) => body.appendChild(row));
}));
