// Before anything is painted: the choice that a reader made earlier, and word that scripts run at all.
(function () {
  const page = document.documentElement;
  page.classList.add("js");
  try {
    const chosen = localStorage.getItem("npmaskrcnn-theme");
    if (chosen === "dark" || chosen === "light") page.dataset.theme = chosen;
  } catch (refused) { /* a browser may keep no notes for files; then the system's choice holds */ }
})();
