//! The operational keys and their rules (RFC 7143 clause 13).

/// How the result comes from both values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Booleans: Yes if either says so.
    Or,
    /// Booleans: Yes if both say so.
    And,
    /// Numbers within these bounds: the smaller.
    Minimum(u64, u64),
    /// Numbers within these bounds: the greater.
    Maximum(u64, u64),
    /// A list of digests: the first that the responder allows.
    Digest,
    /// A number within these bounds, for each direction by itself: no answer.
    Declared(u64, u64),
    /// A list, of which this is taken.
    Item(&'static str),
    /// Always answered like this.
    Constant(&'static str),
    /// Taken note of, not answered.
    Ignored,
}

/// For what a key counts, and so who may negotiate it when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// This connection.
    Connection,
    /// The session: on its leading connection only.
    Session,
    /// The session, but nothing in a discovery session.
    NormalSession,
}

macro_rules! keys {
    ($($name:ident $text:literal $scope:ident $rule:expr,)*) => {
        /// An operational key.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        pub enum Key {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Key {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The key of this name; names are case sensitive.
            pub fn of(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// For what it counts.
            pub const fn scope(self) -> Scope {
                match self {
                    $(Self::$name => Scope::$scope,)*
                }
            }

            /// How its result is found.
            pub const fn rule(self) -> Rule {
                match self {
                    $(Self::$name => $rule,)*
                }
            }
        }
    };
}

const LENGTH_MAX: u64 = (1 << 24) - 1;

keys! {
    HeaderDigest "HeaderDigest" Connection Rule::Digest,
    DataDigest "DataDigest" Connection Rule::Digest,
    MaxConnections "MaxConnections" NormalSession Rule::Minimum(1, 65_535),
    InitialR2T "InitialR2T" NormalSession Rule::Or,
    ImmediateData "ImmediateData" NormalSession Rule::And,
    MaxRecvDataSegmentLength "MaxRecvDataSegmentLength" Connection Rule::Declared(512, LENGTH_MAX),
    MaxBurstLength "MaxBurstLength" NormalSession Rule::Minimum(512, LENGTH_MAX),
    FirstBurstLength "FirstBurstLength" NormalSession Rule::Minimum(512, LENGTH_MAX),
    DefaultTime2Wait "DefaultTime2Wait" Session Rule::Maximum(0, 3600),
    DefaultTime2Retain "DefaultTime2Retain" Session Rule::Minimum(0, 3600),
    MaxOutstandingR2T "MaxOutstandingR2T" NormalSession Rule::Minimum(1, 65_535),
    DataPDUInOrder "DataPDUInOrder" NormalSession Rule::Or,
    DataSequenceInOrder "DataSequenceInOrder" NormalSession Rule::Or,
    ErrorRecoveryLevel "ErrorRecoveryLevel" Session Rule::Minimum(0, 2),
    // RFC 7144 adds level 2; this is an RFC 7143 target.
    ProtocolLevel "iSCSIProtocolLevel" NormalSession Rule::Minimum(0, 31),
    TaskReporting "TaskReporting" NormalSession Rule::Item("RFC3720"),
    NodeArchitecture "X#NodeArchitecture" Session Rule::Ignored,
    // 13.24: markers are gone.
    IFMarker "IFMarker" Connection Rule::Constant("No"),
    OFMarker "OFMarker" Connection Rule::Constant("No"),
    IFMarkInt "IFMarkInt" Connection Rule::Constant("Reject"),
    OFMarkInt "OFMarkInt" Connection Rule::Constant("Reject"),
}

/// A set of keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeySet(u32);

impl KeySet {
    /// Adds `key`; false if it was there.
    pub const fn insert(&mut self, key: Key) -> bool {
        let bit = 1 << key as u8;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Removes `key`; false if it was not there.
    pub const fn remove(&mut self, key: Key) -> bool {
        let there = self.contains(key);
        self.0 &= !(1 << key as u8);
        there
    }

    /// Whether `key` is in it.
    pub const fn contains(self, key: Key) -> bool {
        self.0 >> key as u8 & 1 == 1
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

const _: () = assert!(Key::ALL.len() <= 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sets() {
        let mut set = KeySet::default();
        for &key in Key::ALL {
            assert_eq!(Key::of(key.name()), Some(key));
            assert!(!set.contains(key));
            assert!(set.insert(key) && !set.insert(key));
            assert!(set.contains(key));
        }
        for &key in Key::ALL {
            assert!(set.remove(key) && !set.remove(key));
        }
        assert!(set.is_empty());
        assert_eq!(Key::of("headerdigest"), None);
    }
}
