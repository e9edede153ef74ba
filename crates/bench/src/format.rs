//! Rasters, pixel formats and the bytes of a frame, in AJA System Test's vocabulary.
//!
//! A frame's bytes follow the row rules of AJA's capture cards. That System Test itself uses
//! exactly these is not documented; here it is so.

use core::fmt;
use core::str::FromStr;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Serialize, Serializer};

/// Width and height of a frame in pixels.
///
/// ```
/// use outboard_bench::format::{PixelFormat, Raster};
/// let raster: Raster = "uhd".parse().unwrap();
/// assert_eq!(raster, "3840x2160".parse().unwrap());
/// assert_eq!(PixelFormat::Yuv10.frame_bytes(raster), 22_118_400);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Raster {
    /// pixels in a row, 1 to [`Raster::MAX_SIDE`]
    pub width: u32,
    /// rows, 1 to [`Raster::MAX_SIDE`]
    pub height: u32,
}

impl Raster {
    /// 3840x2160.
    pub const UHD: Self = Self { width: 3840, height: 2160 };

    /// Longest side that is read from text.
    pub const MAX_SIDE: u32 = 32_768;

    /// The rasters that have names, smallest first.
    pub const NAMED: [(Self, &'static str); 11] = [
        (Self { width: 720, height: 486 }, "ntsc"),
        (Self { width: 720, height: 576 }, "pal"),
        (Self { width: 1280, height: 720 }, "720p"),
        (Self { width: 1920, height: 1080 }, "hd"),
        (Self { width: 2048, height: 1080 }, "2k"),
        (Self { width: 2048, height: 1556 }, "2k-film"),
        (Self::UHD, "uhd"),
        (Self { width: 4096, height: 2160 }, "4k"),
        (Self { width: 5120, height: 2700 }, "5k"),
        (Self { width: 7680, height: 4320 }, "uhd2"),
        (Self { width: 8192, height: 4320 }, "8k"),
    ];
}

impl fmt::Display for Raster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Raster {
    type Err = RasterError;

    fn from_str(text: &str) -> Result<Self, RasterError> {
        let lower = text.to_ascii_lowercase();
        let name = match lower.as_str() {
            "1080p" | "fullhd" => "hd",
            "ultrahd" => "uhd",
            "8k-uhd" => "uhd2",
            other => other,
        };
        if let Some((raster, _)) = Self::NAMED.iter().find(|(_, known)| *known == name) {
            return Ok(*raster);
        }
        let side = |text: &str| {
            text.parse::<u32>().ok().filter(|side| (1..=Self::MAX_SIDE).contains(side))
        };
        lower
            .split_once(['x', '\u{d7}'])
            .and_then(|(width, height)| Some(Self { width: side(width)?, height: side(height)? }))
            .ok_or_else(|| RasterError { text: text.to_owned() })
    }
}

impl Serialize for Raster {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is no raster.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "resolution `{text}`: it is WIDTHxHEIGHT, each 1 to {max}, or a name; \
     write for example 3840x2160 or one of {names}",
    max = Raster::MAX_SIDE,
    names = Raster::NAMED.map(|(_, name)| name).join(", ")
)]
pub struct RasterError {
    /// what was said
    pub text: String,
}

/// How a pixel is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PixelFormat {
    /// 4:2:2, 2 bytes a pixel (2vuy)
    Yuv8,
    /// 4:2:2, 48 pixels in 128 bytes (v210)
    Yuv10,
    /// 3 bytes a pixel
    Rgb8,
    /// 4 bytes a pixel
    Rgba8,
    /// 4 bytes a pixel (DPX)
    Rgb10,
    /// 4.5 bytes a pixel, packed
    Rgb12,
    /// 6 bytes a pixel
    Rgb16,
    /// 8 bytes a pixel
    Rgba16,
}

impl PixelFormat {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Yuv8,
        Self::Yuv10,
        Self::Rgb8,
        Self::Rgba8,
        Self::Rgb10,
        Self::Rgb12,
        Self::Rgb16,
        Self::Rgba16,
    ];

    /// Bytes of a frame.
    pub const fn frame_bytes(self, raster: Raster) -> u64 {
        self.row_bytes(raster.width) * raster.height as u64
    }

    /// Bytes of a row of `width` pixels; a row ends on a whole group of its format.
    pub const fn row_bytes(self, width: u32) -> u64 {
        let width = width as u64;
        match self {
            Self::Yuv8 => width.div_ceil(2) * 4,
            Self::Yuv10 => width.div_ceil(48) * 128,
            Self::Rgb8 => width * 3,
            Self::Rgba8 | Self::Rgb10 => width * 4,
            Self::Rgb12 => (width * 9).div_ceil(2),
            Self::Rgb16 => width * 6,
            Self::Rgba16 => width * 8,
        }
    }

    /// As written on a command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yuv8 => "8-bit-yuv",
            Self::Yuv10 => "10-bit-yuv",
            Self::Rgb8 => "8-bit-rgb",
            Self::Rgba8 => "8-bit-rgba",
            Self::Rgb10 => "10-bit-rgb",
            Self::Rgb12 => "12-bit-rgb",
            Self::Rgb16 => "16-bit-rgb",
            Self::Rgba16 => "16-bit-rgba",
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for PixelFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl ValueEnum for PixelFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let aliases: &[&str] = match self {
            Self::Yuv8 => &["2vuy", "uyvy"],
            Self::Yuv10 => &["v210"],
            Self::Rgb10 => &["dpx"],
            _ => &[],
        };
        Some(PossibleValue::new(self.name()).aliases(aliases))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // driverkit.md 6.2: 8-bit YUV, 10-bit YUV, 8-bit RGB, 8-bit RGBA and 10-bit RGB, 12-bit RGB,
    // 16-bit RGB, 16-bit RGBA
    const TABLE: [(&str, [u64; 7]); 11] = [
        ("720x486", [699_840, 933_120, 1_049_760, 1_399_680, 1_574_640, 2_099_520, 2_799_360]),
        ("720x576", [829_440, 1_105_920, 1_244_160, 1_658_880, 1_866_240, 2_488_320, 3_317_760]),
        ("1280x720", [1_843_200, 2_488_320, 2_764_800, 3_686_400, 4_147_200, 5_529_600, 7_372_800]),
        (
            "1920x1080",
            [4_147_200, 5_529_600, 6_220_800, 8_294_400, 9_331_200, 12_441_600, 16_588_800],
        ),
        (
            "2048x1080",
            [4_423_680, 5_944_320, 6_635_520, 8_847_360, 9_953_280, 13_271_040, 17_694_720],
        ),
        (
            "2048x1556",
            [6_373_376, 8_564_224, 9_560_064, 12_746_752, 14_340_096, 19_120_128, 25_493_504],
        ),
        (
            "3840x2160",
            [16_588_800, 22_118_400, 24_883_200, 33_177_600, 37_324_800, 49_766_400, 66_355_200],
        ),
        (
            "4096x2160",
            [17_694_720, 23_777_280, 26_542_080, 35_389_440, 39_813_120, 53_084_160, 70_778_880],
        ),
        (
            "5120x2700",
            [27_648_000, 36_979_200, 41_472_000, 55_296_000, 62_208_000, 82_944_000, 110_592_000],
        ),
        (
            "7680x4320",
            [
                66_355_200,
                88_473_600,
                99_532_800,
                132_710_400,
                149_299_200,
                199_065_600,
                265_420_800,
            ],
        ),
        (
            "8192x4320",
            [
                70_778_880,
                94_556_160,
                106_168_320,
                141_557_760,
                159_252_480,
                212_336_640,
                283_115_520,
            ],
        ),
    ];

    #[test]
    fn frame_bytes_are_those_of_the_table() {
        use PixelFormat::{Rgb8, Rgb10, Rgb12, Rgb16, Rgba8, Rgba16, Yuv8, Yuv10};
        for (raster, bytes) in TABLE {
            let raster: Raster = raster.parse().unwrap();
            for (format, bytes) in
                [Yuv8, Yuv10, Rgb8, Rgba8, Rgb12, Rgb16, Rgba16].into_iter().zip(bytes)
            {
                assert_eq!(format.frame_bytes(raster), bytes, "{raster} {format}");
            }
            assert_eq!(Rgb10.frame_bytes(raster), Rgba8.frame_bytes(raster));
        }
    }

    #[test]
    fn every_row_of_the_table_has_a_name() {
        for ((raster, name), (text, _)) in Raster::NAMED.into_iter().zip(TABLE) {
            assert_eq!(raster.to_string(), text);
            assert_eq!(name.parse(), Ok(raster));
            assert_eq!(name.to_uppercase().parse(), Ok(raster));
        }
    }

    #[test]
    fn rows_end_on_whole_groups() {
        assert_eq!(PixelFormat::Yuv8.row_bytes(3), 8);
        assert_eq!(PixelFormat::Yuv10.row_bytes(49), 256);
        assert_eq!(PixelFormat::Rgb12.row_bytes(3), 14);
    }

    #[test]
    fn what_is_no_raster_is_named_with_the_mend() {
        for bad in ["", "x", "0x10", "10x0", "1920", "1920x", "99999x1", "-1x5", "4kk", "1x2x3"] {
            let error = bad.parse::<Raster>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("resolution `{bad}`")), "{error}");
        }
        insta::assert_snapshot!("wide".parse::<Raster>().unwrap_err());
        assert_eq!("1000\u{d7}10".parse(), Ok(Raster { width: 1000, height: 10 }));
    }

    #[test]
    fn formats_are_read_by_name_and_alias() {
        for format in PixelFormat::ALL {
            assert_eq!(PixelFormat::from_str(format.name(), false), Ok(format));
        }
        assert_eq!(<PixelFormat as ValueEnum>::from_str("v210", false), Ok(PixelFormat::Yuv10));
    }
}
