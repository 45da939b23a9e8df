// Keeps what is filled in so far, so that a half answered survey can be taken up again. The page works without it.
const form = document.querySelector("form[data-partial]");
let timer;
const keep = () => fetch(form.dataset.partial, { method: "POST", body: new FormData(form), keepalive: true }).catch(() => {});
form?.addEventListener("change", () => { clearTimeout(timer); timer = setTimeout(keep, 400); });
form?.addEventListener("submit", () => clearTimeout(timer));
