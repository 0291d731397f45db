import Configuration

/// A configuration of one service `shop` and one route to it, of which tests change a part.
enum ShopText {
  static func parse(
    service: String = "endpoints: [\"127.0.0.1:9000\"]",
    match: String = "pathPrefix: /v1",
    action: String = "upstream: {service: shop}",
    policies: String = "",
    file: String = "x.yaml"
  ) throws -> Settings {
    let text = """
      environment: test
      listeners:
        - {name: public, address: "127.0.0.1:0"}
      services:
        - {name: shop, \(service)}
      routes:
        - name: shop
          match: {\(match)}
          \(action)
          policies: {auth: none\(policies)}
      """
    return try ConfigurationSource.parse(text, file: file).settings
  }
}
