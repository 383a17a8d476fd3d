"""The explorer: a page on which one moves shapes, and every stage of the model follows.

The page draws and computes nothing: it sends the scene, and the package's own model answers with all its arrays.
`scene` paints the picture (`pictures` reads one's own), `minds` has the models, `look` says what one of them sees and
`live` trains one; `api` puts all that into answers, `packing` makes bytes of an answer, and `server` carries them to
the browser (``npmaskrcnn explore``). Where the package runs in the browser itself, the same `api` answers there, and no
server is needed.
"""

from .api import Explorer
