//! Login Request and Login Response (RFC 7143 11.12, 11.13).

use core::fmt;

use super::bhs::Bhs;
use super::wire;

/// Operation code of a Login Request, without the I bit.
pub const REQUEST: u8 = 0x03;
/// Operation code of a Login Response.
pub const RESPONSE: u8 = 0x23;

const IMMEDIATE: u8 = 0x40;
const TRANSIT: u8 = 0x80;
const CONTINUE: u8 = 0x40;

/// A stage of the login phase (RFC 7143 6.3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// SecurityNegotiation
    #[default]
    Security,
    /// LoginOperationalNegotiation
    Operational,
    /// FullFeaturePhase
    FullFeature,
}

impl Stage {
    /// The stage of a CSG or NSG field; 2 is reserved.
    pub const fn of(field: u8) -> Option<Self> {
        match field & 3 {
            0 => Some(Self::Security),
            1 => Some(Self::Operational),
            3 => Some(Self::FullFeature),
            _ => None,
        }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Security => 0,
            Self::Operational => 1,
            Self::FullFeature => 3,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Security => "SecurityNegotiation",
            Self::Operational => "LoginOperationalNegotiation",
            Self::FullFeature => "FullFeaturePhase",
        })
    }
}

/// A Login Request, without its text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LoginRequest {
    /// T bit: the initiator is ready to leave the stage.
    pub transit: bool,
    /// C bit: the text goes on in the next request.
    pub more: bool,
    /// CSG; `None` is the reserved value.
    pub stage: Option<Stage>,
    /// NSG; `None` is the reserved value. Without T it means nothing.
    pub next: Option<Stage>,
    /// The lowest version that the initiator can do.
    pub version_min: u8,
    /// The highest version that the initiator can do.
    pub version_max: u8,
    /// Initiator's part of the session identifier.
    pub isid: [u8; 6],
    /// 0 for a new session.
    pub tsih: u16,
    /// Initiator task tag.
    pub itt: u32,
    /// Connection identifier.
    pub cid: u16,
    /// CmdSN.
    pub cmd_sn: u32,
    /// ExpStatSN.
    pub exp_stat_sn: u32,
}

impl LoginRequest {
    /// The request of `header`, if it is one.
    pub fn parse(header: &Bhs) -> Option<Self> {
        if header.opcode() != REQUEST {
            return None;
        }
        let mut isid = [0; 6];
        isid.copy_from_slice(&header.0[8..14]);
        Some(Self {
            transit: header.0[1] & TRANSIT != 0,
            more: header.0[1] & CONTINUE != 0,
            stage: Stage::of(header.0[1] >> 2),
            next: Stage::of(header.0[1]),
            version_max: header.0[2],
            version_min: header.0[3],
            isid,
            tsih: header.half::<14>(),
            itt: header.word::<16>(),
            cid: header.half::<20>(),
            cmd_sn: header.word::<24>(),
            exp_stat_sn: header.word::<28>(),
        })
    }

    /// Appends the request with `text` (shorter than 2^24 bytes) to `out`.
    pub fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let flags = flags(self.transit, self.more, self.stage, self.next);
        let mut header = Bhs::new(IMMEDIATE | REQUEST, flags);
        header.0[2] = self.version_max;
        header.0[3] = self.version_min;
        header.0[8..14].copy_from_slice(&self.isid);
        header.set_half::<14>(self.tsih);
        header.set_word::<16>(self.itt);
        header.set_half::<20>(self.cid);
        header.set_word::<24>(self.cmd_sn);
        header.set_word::<28>(self.exp_stat_sn);
        wire::append(out, header, text);
    }
}

/// A Login Response, without its text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LoginResponse {
    /// T bit: the target leaves the stage too.
    pub transit: bool,
    /// C bit: the text goes on in the next response.
    pub more: bool,
    /// CSG.
    pub stage: Option<Stage>,
    /// NSG; without T it means nothing.
    pub next: Option<Stage>,
    /// Echo of the request.
    pub isid: [u8; 6],
    /// 0, but in the last response of a login.
    pub tsih: u16,
    /// Echo of the request.
    pub itt: u32,
    /// StatSN; it counts only with [`Status::Success`].
    pub stat_sn: u32,
    /// ExpCmdSN.
    pub exp_cmd_sn: u32,
    /// MaxCmdSN.
    pub max_cmd_sn: u32,
    /// Status-Class and Status-Detail.
    pub status: Status,
}

impl LoginResponse {
    /// The response of `header`, if it is one.
    pub fn parse(header: &Bhs) -> Option<Self> {
        if header.0[0] != RESPONSE {
            return None;
        }
        let mut isid = [0; 6];
        isid.copy_from_slice(&header.0[8..14]);
        Some(Self {
            transit: header.0[1] & TRANSIT != 0,
            more: header.0[1] & CONTINUE != 0,
            stage: Stage::of(header.0[1] >> 2),
            next: Stage::of(header.0[1]),
            isid,
            tsih: header.half::<14>(),
            itt: header.word::<16>(),
            stat_sn: header.word::<24>(),
            exp_cmd_sn: header.word::<28>(),
            max_cmd_sn: header.word::<32>(),
            status: Status::of(header.half::<36>()),
        })
    }

    /// Appends the response with `text` (shorter than 2^24 bytes) to `out`. Version-max and
    /// Version-active are 0, the only version there is.
    pub fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let flags = flags(self.transit, self.more, self.stage, self.next);
        let mut header = Bhs::new(RESPONSE, flags);
        header.0[8..14].copy_from_slice(&self.isid);
        header.set_half::<14>(self.tsih);
        header.set_word::<16>(self.itt);
        header.set_word::<24>(self.stat_sn);
        header.set_word::<28>(self.exp_cmd_sn);
        header.set_word::<32>(self.max_cmd_sn);
        header.set_half::<36>(self.status.code());
        wire::append(out, header, text);
    }
}

fn flags(transit: bool, more: bool, stage: Option<Stage>, next: Option<Stage>) -> u8 {
    let field = |stage: Option<Stage>| stage.map_or(2, Stage::number);
    let next = if transit { field(next) } else { 0 };
    u8::from(transit) << 7 | u8::from(more) << 6 | field(stage) << 2 | next
}

macro_rules! statuses {
    ($($code:literal $name:ident $text:literal,)*) => {
        /// Status-Class and Status-Detail of a Login Response (RFC 7143 11.13.5).
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Status {
            $(#[doc = concat!(stringify!($code), ": ", $text)] $name,)*
            /// Any other: class in the high byte, detail in the low byte.
            Other(u16),
            /// 0000h: the login proceeds
            #[default]
            Success,
        }

        impl Status {
            /// The status with `code`: class in the high byte, detail in the low byte.
            pub const fn of(code: u16) -> Self {
                match code {
                    0 => Self::Success,
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// Class in the high byte, detail in the low byte.
            pub const fn code(self) -> u16 {
                match self {
                    Self::Success => 0,
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }
        }

        impl fmt::Display for Status {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Success => f.write_str("success"),
                    $(Self::$name => f.write_str($text),)*
                    Self::Other(code) => write!(f, "status {code:04x}h"),
                }
            }
        }

        #[cfg(test)]
        const STATUSES: &[Status] = &[$(Status::$name),*];
    };
}

statuses! {
    0x0101 MovedTemporarily "target moved temporarily",
    0x0102 MovedPermanently "target moved permanently",
    0x0200 InitiatorError "initiator error",
    0x0201 AuthenticationFailure "authentication failure",
    0x0202 AuthorizationFailure "authorization failure",
    0x0203 NotFound "target not found",
    0x0204 Removed "target removed",
    0x0205 UnsupportedVersion "unsupported version",
    0x0206 TooManyConnections "too many connections",
    0x0207 MissingParameter "missing parameter",
    0x0208 CannotInclude "can't include in session",
    0x0209 SessionType "session type not supported",
    0x020a NoSession "session does not exist",
    0x020b InvalidDuringLogin "invalid request during login",
    0x0300 TargetError "target error",
    0x0301 Unavailable "service unavailable",
    0x0302 OutOfResources "out of resources",
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(pdu: &[u8]) -> Bhs {
        Bhs::read(pdu).unwrap()
    }

    #[test]
    fn every_status_has_its_code() {
        for &status in STATUSES {
            assert_eq!(Status::of(status.code()), status);
            assert!(!status.to_string().is_empty());
        }
        assert_eq!(Status::of(0), Status::Success);
        assert_eq!(Status::of(0x0410), Status::Other(0x0410));
    }

    #[test]
    fn a_request_as_it_is_on_the_wire() {
        let request = LoginRequest {
            transit: true,
            stage: Some(Stage::Operational),
            next: Some(Stage::FullFeature),
            isid: [0x80, 1, 2, 3, 4, 5],
            itt: 0x0a0b_0c0d,
            cid: 0x0102,
            cmd_sn: 7,
            exp_stat_sn: 9,
            ..LoginRequest::default()
        };
        let mut pdu = Vec::new();
        request.write(b"A=1\0B", &mut pdu);
        let expected = [
            0x43, 0x87, 0, 0, 0, 0, 0, 5, 0x80, 1, 2, 3, 4, 5, 0, 0, //
            0x0a, 0x0b, 0x0c, 0x0d, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9,
        ];
        assert_eq!(pdu[..32], expected);
        assert_eq!(pdu[32..48], [0; 16]);
        assert_eq!(&pdu[48..], b"A=1\0B\0\0\0");
    }

    proptest! {
        #[test]
        fn any_header_is_read_and_written_alike(mut bytes in prop::array::uniform32(any::<u8>())) {
            bytes[0] = 0x43;
            let mut full = Bhs([0; 48]);
            full.0[..32].copy_from_slice(&bytes);
            let request = LoginRequest::parse(&full).unwrap();
            let mut pdu = Vec::new();
            request.write(b"", &mut pdu);
            let back = LoginRequest::parse(&header(&pdu)).unwrap();
            let next = if request.transit { request.next } else { Some(Stage::Security) };
            prop_assert_eq!(back, LoginRequest { next, ..request });

            full.0[0] = 0x23;
            let response = LoginResponse::parse(&full).unwrap();
            pdu.clear();
            response.write(b"", &mut pdu);
            let back = LoginResponse::parse(&header(&pdu)).unwrap();
            let next = if response.transit { response.next } else { Some(Stage::Security) };
            prop_assert_eq!(back, LoginResponse { next, ..response });
        }
    }
}
