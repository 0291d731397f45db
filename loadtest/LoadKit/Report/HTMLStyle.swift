/// The look of the report: system fonts, both colour schemes, paper.
enum HTMLStyle {
  /// Lines are told apart by dash as well as by colour; the colours are those of Okabe and Ito,
  /// made for readers who see fewer of them.
  static let sheet = """
    :root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --paper: #ffffff; \
    --line: #d0d7de; --good: #0a6b3d; --bad: #b3261e; --box: #f6f8fa; --c0: #0072b2; --c1: #d55e00; \
    --c2: #008060; --c3: #b0468b; --c4: #8a6d00; --c5: #3f6f8f; }
    @media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9da7b1; \
    --paper: #0d1117; --line: #30363d; --good: #3fb97c; --bad: #ff7b72; --box: #161b22; \
    --c0: #56b4e9; --c1: #ff9142; --c2: #2fc89a; --c3: #e08cc3; --c4: #f0e442; --c5: #a5c8de; } }
    @media print { :root { --ink: #000; --quiet: #444; --paper: #fff; --line: #bbb; --box: #fff; \
    --good: #0a6b3d; --bad: #b3261e; --c0: #0072b2; --c1: #d55e00; --c2: #008060; --c3: #b0468b; \
    --c4: #8a6d00; --c5: #3f6f8f; } figure, table { break-inside: avoid; } }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--paper); color: var(--ink); \
    font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem; }
    h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
    a { color: inherit; } article { border-top: 1px solid var(--line); margin-top: 3rem; \
    padding-top: .5rem; } .before { margin: .5rem 0 0; }
    .quiet { color: var(--quiet); } .good { color: var(--good); } .bad { color: var(--bad); }
    .box { border: 1px solid currentColor; border-radius: 6px; background: var(--box); \
    padding: .25rem 1rem; margin: 1rem 0; } .box h2 { margin: .5rem 0; }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-size: .9rem; }
    caption { text-align: left; font-weight: 600; padding: .25rem 0; }
    th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid var(--line); \
    font-weight: 400; white-space: nowrap; } thead th { color: var(--quiet); }
    .number { text-align: right; font-variant-numeric: tabular-nums; }
    figure { margin: 1rem 0 2rem; } figcaption { font-weight: 600; }
    svg { width: 100%; height: auto; display: block; } svg text { fill: var(--quiet); \
    font: 12px system-ui, sans-serif; }
    .grid { stroke: var(--line); } .mark { stroke: var(--quiet); stroke-dasharray: 2 4; }
    .curve { fill: none; stroke-width: 2; } .reference { stroke: var(--ink); stroke-dasharray: 8 4; }
    .s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); stroke-dasharray: 7 3; } \
    .s2 { stroke: var(--c2); stroke-dasharray: 2 2; } .s3 { stroke: var(--c3); \
    stroke-dasharray: 9 3 2 3; } .s4 { stroke: var(--c4); stroke-dasharray: 4 4; } \
    .s5 { stroke: var(--c5); stroke-dasharray: 1 3; }
    """
}
