//! Where something is sent: the parts of its address.

/// An address that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Over TLS.
    pub https: bool,
    /// The host in lower case; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port, as the header `host` has them.
    pub authority: String,
    /// What is asked for there.
    pub path_and_query: String,
}

/// Longest address.
const LENGTH_MAX: usize = 2_048;

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// What it should be.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        const FORM: &str = "expected an address such as `https://hooks.example.gov.cn/credit`";
        if url.len() > LENGTH_MAX {
            return Err("at most 2048 characters");
        }
        if url.contains('#') {
            return Err("must have no fragment (`#…`): it would not be sent");
        }
        let uri: hyper::Uri = url.parse().map_err(|_| FORM)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(FORM),
        };
        let authority = uri.authority().ok_or(FORM)?;
        if authority.as_str().contains('@') {
            return Err("must have no user or password: what is sent is signed instead");
        }
        let host = authority.host().to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(FORM);
        }
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        if port == 0 {
            return Err(FORM);
        }
        let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            https,
            host: host.to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            path_and_query: path_and_query.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    fn check(url: &str, expected: &str) {
        let shown = match Target::parse(url) {
            Ok(target) => format!(
                "{} {} {} {}",
                target.https, target.host, target.port, target.path_and_query
            ),
            Err(rule) => rule
                .split_whitespace()
                .take(4)
                .collect::<Vec<_>>()
                .join(" "),
        };
        assert_eq!(shown, expected, "{url}");
    }

    #[test]
    fn an_address_has_a_scheme_a_host_and_nothing_secret() {
        check("https://A.example.cn", "true a.example.cn 443 /");
        check("http://a.cn:8080/x?y=1", "false a.cn 8080 /x?y=1");
        check("https://[::1]:9/x", "true ::1 9 /x");
        check("https://u:p@a.cn/", "must have no user");
        check("https://a.cn/#x", "must have no fragment");
        check("ftp://a.cn/", "expected an address such");
        check("a.cn/x", "expected an address such");
        check("/x", "expected an address such");
        check("https://a.cn:0/", "expected an address such");
    }
}
