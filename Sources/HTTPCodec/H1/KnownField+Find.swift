/// Recognition of field names by whole words.
///
/// The constants are the names' bytes, eight to a word, the first in the lowest place; a test holds
/// them against `KnownField.name`. Letters are folded exactly, so a name found here is known to be
/// a token and its bytes are not looked at again.
extension KnownField {
  /// Finds the field called by the `length` bytes at `start`, whatever their case.
  @inline(__always)
  static func find(
    _ bytes: UnsafePointer<UInt8>,
    start: Int,
    length: Int,
    end: Int
  ) -> KnownField {
    if length <= 8 {
      let word = WordScan.loadShort(bytes, start, length: length, end: end)
      return short(WordScan.folded(word), length: length)
    }
    if length > 25 { return .other }
    return long(
      WordScan.folded(WordScan.load(bytes, start)),
      WordScan.folded(WordScan.load(bytes, start &+ length &- 8)),
      bytes: bytes,
      start: start,
      length: length
    )
  }

  @inline(__always)
  private static func short(_ first: UInt64, length: Int) -> KnownField {
    switch length {
    case 2:
      switch first {
      case 0x0000_0000_0000_6574: return .te
      default: return .other
      }
    case 3:
      switch first {
      case 0x0000_0000_0061_6976: return .via
      default: return .other
      }
    case 4:
      switch first {
      case 0x0000_0000_7473_6F68: return .host
      case 0x0000_0000_6574_6164: return .date
      case 0x0000_0000_6761_7465: return .etag
      case 0x0000_0000_7972_6176: return .vary
      default: return .other
      }
    case 5:
      switch first {
      case 0x0000_0065_676E_6172: return .range
      default: return .other
      }
    case 6:
      switch first {
      case 0x0000_7463_6570_7865: return .expect
      case 0x0000_7265_7672_6573: return .server
      case 0x0000_6569_6B6F_6F63: return .cookie
      case 0x0000_7470_6563_6361: return .accept
      case 0x0000_6E69_6769_726F: return .origin
      case 0x0000_616D_6761_7270: return .pragma
      default: return .other
      }
    case 7:
      switch first {
      case 0x0072_656C_6961_7274: return .trailer
      case 0x0065_6461_7267_7075: return .upgrade
      case 0x0072_6572_6566_6572: return .referer
      default: return .other
      }
    case 8:
      switch first {
      case 0x6E6F_6974_6163_6F6C: return .location
      default: return .other
      }
    default: return .other
    }
  }

  @inline(__always)
  private static func long(
    _ first: UInt64,
    _ last: UInt64,
    bytes: UnsafePointer<UInt8>,
    start: Int,
    length: Int
  ) -> KnownField {
    switch length {
    case 9:
      switch last {
      case 0x6465_6472_6177_726F
      where first == 0x6564_7261_7772_6F66:
        return .forwarded
      default: return .other
      }
    case 10:
      switch last {
      case 0x6E6F_6974_6365_6E6E
      where first == 0x6974_6365_6E6E_6F63:
        return .connection
      case 0x6576_696C_612D_7065
      where first == 0x696C_612D_7065_656B:
        return .keepAlive
      case 0x6574_6174_7365_6361
      where first == 0x6174_7365_6361_7274:
        return .tracestate
      case 0x746E_6567_612D_7265
      where first == 0x6567_612D_7265_7375:
        return .userAgent
      case 0x6569_6B6F_6F63_2D74
      where first == 0x6B6F_6F63_2D74_6573:
        return .setCookie
      default: return .other
      }
    case 11:
      switch last {
      case 0x7265_7466_612D_7972
      where first == 0x6661_2D79_7274_6572:
        return .retryAfter
      case 0x746E_6572_6170_6563
      where first == 0x7261_7065_6361_7274:
        return .traceparent
      default: return .other
      }
    case 12:
      switch last {
      case 0x6469_2D74_7365_7571
      where first == 0x7365_7571_6572_2D78:
        return .xRequestID
      case 0x6570_7974_2D74_6E65
      where first == 0x2D74_6E65_746E_6F63:
        return .contentType
      default: return .other
      }
    case 13:
      switch last {
      case 0x6E6F_6974_617A_6972
      where first == 0x7A69_726F_6874_7561:
        return .authorization
      case 0x6C6F_7274_6E6F_632D
      where first == 0x6F63_2D65_6863_6163:
        return .cacheControl
      case 0x6863_7461_6D2D_656E
      where first == 0x2D65_6E6F_6E2D_6669:
        return .ifNoneMatch
      case 0x6465_6966_6964_6F6D
      where first == 0x646F_6D2D_7473_616C:
        return .lastModified
      default: return .other
      }
    case 14:
      switch last {
      case 0x6874_676E_656C_2D74
      where first == 0x2D74_6E65_746E_6F63:
        return .contentLength
      case 0x7367_6E69_7474_6573
      where first == 0x6573_2D32_7074_7468:
        return .http2Settings
      default: return .other
      }
    case 15:
      switch last {
      case 0x726F_662D_6465_6472
      where first == 0x7261_7772_6F66_2D78:
        return .xForwardedFor
      case 0x7965_6B2D_7963_6E65
      where first == 0x6574_6F70_6D65_6469:
        return .idempotencyKey
      case 0x676E_6964_6F63_6E65
      where first == 0x652D_7470_6563_6361:
        return .acceptEncoding
      case 0x6567_6175_676E_616C
      where first == 0x6C2D_7470_6563_6361:
        return .acceptLanguage
      default: return .other
      }
    case 16:
      switch last {
      case 0x6E6F_6974_6365_6E6E
      where first == 0x6F63_2D79_786F_7270:
        return .proxyConnection
      case 0x7473_6F68_2D64_6564
      where first == 0x7261_7772_6F66_2D78:
        return .xForwardedHost
      case 0x676E_6964_6F63_6E65
      where first == 0x2D74_6E65_746E_6F63:
        return .contentEncoding
      default: return .other
      }
    case 17:
      switch last {
      case 0x676E_6964_6F63_6E65
      where first == 0x7265_6673_6E61_7274
        && word(bytes, start &+ 8) == 0x6E69_646F_636E_652D:
        return .transferEncoding
      case 0x6F74_6F72_702D_6465
      where first == 0x7261_7772_6F66_2D78
        && word(bytes, start &+ 8) == 0x746F_7270_2D64_6564:
        return .xForwardedProto
      case 0x6563_6E69_732D_6465
      where first == 0x6669_646F_6D2D_6669
        && word(bytes, start &+ 8) == 0x636E_6973_2D64_6569:
        return .ifModifiedSince
      default: return .other
      }
    case 18:
      switch last {
      case 0x6574_6163_6974_6E65
      where first == 0x7561_2D79_786F_7270
        && word(bytes, start &+ 8) == 0x6163_6974_6E65_6874:
        return .proxyAuthenticate
      default: return .other
      }
    case 19:
      switch last {
      case 0x6E6F_6974_617A_6972
      where first == 0x7561_2D79_786F_7270
        && word(bytes, start &+ 8) == 0x7461_7A69_726F_6874:
        return .proxyAuthorization
      default: return .other
      }
    case 21:
      switch last {
      case 0x7363_6972_7465_6D2D
      where first == 0x746E_696F_7064_6E65
        && word(bytes, start &+ 8) == 0x656D_2D64_616F_6C2D:
        return .endpointLoadMetrics
      default: return .other
      }
    case 25:
      switch last {
      case 0x7374_7365_7571_6572
      where first == 0x2D65_6461_7267_7075
        && word(bytes, start &+ 8) == 0x6572_7563_6573_6E69
        && word(bytes, start &+ 16) == 0x7473_6575_7165_722D:
        return .upgradeInsecureRequests
      case 0x6E69_622D_7363_6972
      where first == 0x746E_696F_7064_6E65
        && word(bytes, start &+ 8) == 0x656D_2D64_616F_6C2D
        && word(bytes, start &+ 16) == 0x6962_2D73_6369_7274:
        return .endpointLoadMetricsBin
      default: return .other
      }
    default: return .other
    }
  }

  @inline(__always)
  private static func word(_ bytes: UnsafePointer<UInt8>, _ offset: Int) -> UInt64 {
    WordScan.folded(WordScan.load(bytes, offset))
  }
}
