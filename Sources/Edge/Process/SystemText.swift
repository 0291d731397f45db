internal import Glibc

/// What the system says about an error number, as `No such file or directory`.
public func systemText(_ code: Int32) -> String {
  guard let text = strerror(code) else { return "error \(code)" }
  return String(cString: text)
}
