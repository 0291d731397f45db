"""What TLS scanners say of the edge's defaults: openssl s_client, testssl.sh, sslyze.

Each function returns "ok ...", or "bad: ..." with the first thing that is not as it should be. What they
say of the certificate itself is passed over: it was made for this run by an authority of its own.
"""
import json
import os
import re
import subprocess

# Everything that OpenSSL has, whatever it thinks of it.
ANYTHING = ":@SECLEVEL=0"


def run(command, seconds, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=seconds, **options).stdout


def openssl(port, authority):
    """Versions, ciphers and habits, one handshake each."""
    def say(*options, words=""):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
                   "-CAfile", authority, *options]
        return run(command, 30, input=words)

    accepted = [
        ("TLS 1.2", ["-tls1_2"], r"Cipher is ECDHE-\w+-AES128-GCM-SHA256"),
        ("TLS 1.3", ["-tls1_3"], "Cipher is TLS_AES_128_GCM_SHA256"),
        ("TLS 1.2 with RSA", ["-tls1_2", "-cipher", "aRSA"], "Cipher is ECDHE-RSA-AES128-GCM-SHA256"),
        ("no early data", ["-tls1_3", "-ign_eof"], "Max Early Data: 0"),
        ("no compression", ["-tls1_2", "-comp"], "Compression: NONE"),
        ("secure renegotiation is signalled", ["-tls1_2"], "Secure Renegotiation IS supported"),
        ("ALPN: h2 first", ["-alpn", "http/1.1,h2"], "ALPN protocol: h2"),
        ("ALPN: http/1.1", ["-alpn", "http/1.1"], "ALPN protocol: http/1.1"),
        ("the edge's order of ciphers", ["-tls1_2", "-cipher",
                                         "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"],
         "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
    ]
    # The alert shows that the client did offer it, and that it was the edge who refused.
    refused = [("TLS 1.0", ["-tls1", "-cipher", "ALL" + ANYTHING]), ("TLS 1.1", ["-tls1_1", "-cipher", "ALL" + ANYTHING])]
    for kind in ("kRSA", "kDHE", "aNULL", "eNULL", "ECDHE+AES+SHA1", "ECDHE+AES+SHA256:!AESGCM", "AESCCM", "CAMELLIA",
                 "ARIA", "PSK"):
        refused.append((f"TLS 1.2 with {kind}", ["-tls1_2", "-cipher", kind + ANYTHING]))
    for group in ("X448", "P-521"):
        refused.append((f"only the group {group}", ["-groups", group]))
    refused.append(("ALPN: h3", ["-alpn", "h3"]))

    passed_over = []
    # A whole exchange: what is said of tickets comes behind the handshake.
    request = "GET /bytes/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for name, options, pattern in accepted:
        if not re.search(pattern, say(*options, words=request)):
            return f"bad: {name}"
    for name, options in refused:
        said = say(*options)
        if re.search("no cipher match|Error with command|unknown option|no ciphers available|unsupported protocol", said):
            passed_over.append(name)
        elif "Cipher is (NONE)" not in said or " alert " not in said:
            return f"bad: {name} is not refused"
    # The client asks to negotiate again, and hears no_renegotiation or the end.
    if not re.search("no renegotiation|unexpected eof|RENEGOTIATING\n.*:error:", say("-tls1_2", words="R\n")):
        return "bad: renegotiation"
    count = len(accepted) + len(refused) + 1 - len(passed_over)
    rest = f"; this OpenSSL cannot ask for {', '.join(passed_over)}" if passed_over else ""
    return f"ok {count} handshakes{rest}"


def testssl(binary, port, work):
    """Everything that testssl.sh knows; nothing may be worse than INFO."""
    report = f"{work}/testssl.json"
    run([binary, "--quiet", "--warnings", "off", "--color", "0", "--jsonfile", report, f"127.0.0.1:{port}"], 1200,
        stdin=subprocess.DEVNULL)
    if not os.path.exists(report):
        return "bad: there is no report"
    with open(report) as file:
        findings = json.load(file)
    # Certificates are the test's, HSTS and other fields are for the service to say, WARN is of the scanner itself.
    bad = [f"{f['id']}: {f['finding']}" for f in findings
           if f["severity"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL")
           and not f["id"].startswith(("cert_", "DNS_CAA", "HSTS", "security_headers"))]
    scanned = [f for f in findings if f["id"] in ("TLS1_3", "heartbleed", "ROBOT", "LUCKY13")]
    if len(scanned) < 4:
        return "bad: the report is not whole"
    return f"bad: {'; '.join(bad)}" if bad else f"ok {len(findings)} findings"


def sslyze(python, port):
    """Mozilla's recommendation "intermediate", and all scans; only the certificate's own path may fail."""
    said = run([python, "-W", "ignore", "-m", "sslyze", "--mozilla_config", "intermediate", f"127.0.0.1:{port}"], 600)
    if "SCANS COMPLETED" not in said or "Checking results against Mozilla" not in said:
        return f"bad: no result: {said.strip().splitlines()[-1:]}"
    verdict = said.split("Checking results against Mozilla")[1]
    bad = [line.strip()[2:] for line in verdict.splitlines()
           if line.strip().startswith("* ") and "certificate_path_validation" not in line]
    scans = said.split("SCAN RESULTS")[1].split("COMPLIANCE")[0]
    bad += [line.strip() for line in scans.splitlines() if re.search(r"\bVULNERABLE\b", line) and "Not vul" not in line]
    return f"bad: {'; '.join(bad)}" if bad else "ok Mozilla intermediate"
