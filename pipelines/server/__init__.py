"""The live server: a page in which to draw, run and watch graphs, and the same for programs.

    app        the server, from start to stop      limits     how much of everything there may be
    v1, seed   the events of the two protocols     offer      the steps that graphs may name
    requests   acknowledgement of every event      judge      a stranger's graph, checked
    wire       a graph as it is sent               graphfile  a graph as the text of a file
    runs       whose run is whose                  session    one live run, without any socket
    web        hosts, headers and the page         transport  what socket.io lets through

`app.Server` is what a script starts; ``plumber serve`` does so from the command line. Everything
needs the extra ``server``, and only `app` and what it imports asks for it.
"""
