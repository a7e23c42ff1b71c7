// What all parts of the page need: elements by their id, and rows of bars.
export const $ = (id) => document.getElementById(id);

export const fillBars = (list, rows, colourOf = () => "") => {
  while (list.children.length < rows.length) {
    const row = document.createElement("li");
    for (const name of ["name", "track", "share"]) {
      const cell = document.createElement("span");
      cell.className = name;
      row.append(cell);
    }
    row.children[1].append(Object.assign(document.createElement("span"), { className: "fill" }));
    list.append(row);
  }
  while (list.children.length > rows.length) list.lastChild.remove();
  rows.forEach(([label, share], number) => {
    const row = list.children[number];
    row.className = colourOf(label);
    row.children[0].textContent = row.children[0].title = label;
    row.children[1].firstChild.style.width = `${(100 * share).toFixed(1)}%`;
    row.children[2].textContent = `${Math.round(100 * share)} %`;
  });
};
