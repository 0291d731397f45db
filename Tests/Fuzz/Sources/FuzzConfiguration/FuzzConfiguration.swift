import Configuration

#if FUZZER
import FuzzSupport
#endif

/// Whether a character could steer a terminal.
private func steers(_ scalar: Unicode.Scalar) -> Bool {
  scalar.value < 0x20 && scalar != "\n" || (0x7F..<0xA0).contains(scalar.value)
}

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzConfiguration(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let text = String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
  let settings: Settings
  do {
    settings = try ConfigurationSource.parse(text, file: "fuzz.yaml").settings
  } catch {
    require(!error.faults.isEmpty, "a refusal has a reason")
    for fault in error.faults {
      require(fault.line >= 1 && fault.column >= 1, "a fault has a place")
      require(!fault.message.isEmpty, "a fault says what is wrong")
    }
    let report = FaultReport(error, isColoured: false).text
    require(!report.unicodeScalars.contains(where: steers), "a report steers no terminal")
    return 0
  }
  do {
    let again = try ConfigurationSource.parse(settings.effectiveYAML(), file: "effective.yaml")
    require(again.settings == settings, "what is in effect reads back as itself")
  } catch {
    require(false, "what is in effect is valid")
  }
  return 0
}
