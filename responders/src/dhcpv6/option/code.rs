//! Option codes (IANA's "DHCPv6 Option Codes").

/// Client Identifier (RFC 9915 §21.2).
pub const CLIENT_ID: u16 = 1;
/// Server Identifier (RFC 9915 §21.3).
pub const SERVER_ID: u16 = 2;
/// Identity Association for Non-temporary Addresses (RFC 9915 §21.4).
pub const IA_NA: u16 = 3;
/// Identity Association for Temporary Addresses (RFC 8415 §21.5, obsolete).
pub const IA_TA: u16 = 4;
/// IA Address (RFC 9915 §21.6).
pub const IA_ADDRESS: u16 = 5;
/// Option Request (RFC 9915 §21.7).
pub const OPTION_REQUEST: u16 = 6;
/// Preference (RFC 9915 §21.8).
pub const PREFERENCE: u16 = 7;
/// Elapsed Time (RFC 9915 §21.9).
pub const ELAPSED_TIME: u16 = 8;
/// Relay Message (RFC 9915 §21.10).
pub const RELAY_MESSAGE: u16 = 9;
/// Status Code (RFC 9915 §21.13).
pub const STATUS_CODE: u16 = 13;
/// Rapid Commit (RFC 9915 §21.14).
pub const RAPID_COMMIT: u16 = 14;
/// User Class (RFC 9915 §21.15).
pub const USER_CLASS: u16 = 15;
/// Interface-Id (RFC 9915 §21.18).
pub const INTERFACE_ID: u16 = 18;
/// DNS Recursive Name Server (RFC 3646 §3).
pub const DNS_SERVERS: u16 = 23;
/// Domain Search List (RFC 3646 §4).
pub const DOMAIN_LIST: u16 = 24;
/// Identity Association for Prefix Delegation (RFC 9915 §21.21).
pub const IA_PD: u16 = 25;
/// IA Prefix (RFC 9915 §21.22).
pub const IA_PREFIX: u16 = 26;
/// Simple Network Time Protocol Servers (RFC 4075).
pub const SNTP_SERVERS: u16 = 31;
/// Information Refresh Time (RFC 9915 §21.23).
pub const INFORMATION_REFRESH_TIME: u16 = 32;
/// Client Fully Qualified Domain Name (RFC 4704).
pub const CLIENT_FQDN: u16 = 39;
/// NTP Server (RFC 5908).
pub const NTP_SERVER: u16 = 56;
/// Boot File URL (RFC 5970 §3.1).
pub const BOOT_FILE_URL: u16 = 59;
/// Boot File Parameters (RFC 5970 §3.2).
pub const BOOT_FILE_PARAMETERS: u16 = 60;
/// Client System Architecture Type (RFC 5970 §3.3).
pub const CLIENT_ARCHITECTURES: u16 = 61;
/// SOL_MAX_RT (RFC 9915 §21.24).
pub const SOL_MAX_RT: u16 = 82;
/// INF_MAX_RT (RFC 9915 §21.25).
pub const INF_MAX_RT: u16 = 83;
