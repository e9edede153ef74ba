use super::*;

/// The keys of IEEE 1619-2007, annex B, vectors 10 to 14.
const KEY: [&str; 2] = [
    "2718281828459045235360287471352662497757247093699959574966967627",
    "3141592653589793238462643383279502884197169399375105820974944592",
];
/// Ciphertext of vector 10: data unit FFh of 512 bytes.
const VECTOR_10: &[&str] = &[
    "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b5d31e276f8fe4a8d66b317f9",
    "ac683f44680a86ac35adfc3345befecb4bb188fd5776926c49a3095eb108fd1098baec70aaa66999a72a82f2",
    "7d848b21d4a741b0c5cd4d5fff9dac89aeba122961d03a757123e9870f8acf1000020887891429ca2a3e7a7d",
    "7df7b10355165c8b9a6d0a7de8b062c4500dc4cd120c0f7418dae3d0b5781c34803fa75421c790dfe1de1834",
    "f280d7667b327f6c8cd7557e12ac3a0f93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1",
    "a8cc81ec583e9645e07b8d9670655ba5bbcfecc6dc3966380ad8fecb17b6ba02469a020a84e18e8f84252070",
    "c13e9f1f289be54fbc481457778f616015e1327a02b140f1505eb309326d68378f8374595c849d84f4c333ec",
    "4423885143cb47bd71c5edae9be69a2ffeceb1bec9de244fbe15992b11b77c040f12bd8f6a975a44a0f90c29",
    "a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac6e333b93eb4aff0479da9a41",
    "0e4450e0dd7ae4c6e2910900575da401fc07059f645e8b7e9bfdef33943054ff84011493c27b3429eaedb4ed",
    "5376441a77ed43851ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa773dad38",
    "014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151",
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

fn xts() -> Xts {
    let mut key: [u8; 64] = bytes(&KEY.concat()).try_into().unwrap();
    Xts::new(&Key::take(&mut key).unwrap())
}

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| i as u8).collect()
}

#[test]
fn it_is_the_standards_cipher() {
    let mut xts = xts();
    let mut data = plaintext(512);
    xts.apply(Way::Encrypt, 0xFF, 512, &mut data);
    assert_eq!(data, bytes(&VECTOR_10.concat()));
    xts.apply(Way::Decrypt, 0xFF, 512, &mut data);
    assert_eq!(data, plaintext(512));
    // Vectors 11 to 13: longer numbers, of which the lowest byte comes first.
    for (number, begin) in [
        (0xFFFF, "77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11"),
        (0xFF_FFFF, "e387aaa58ba483afa7e8eb469778317ecf4cf573aa9d4eac23f2cdf914e4e200"),
        (0xFFFF_FFFF, "bf53d2dade78e822a4d949a9bc6766b01b06a8ef70d26748c6a7fc36d80ae4c5"),
    ] {
        let mut data = plaintext(512);
        xts.apply(Way::Encrypt, number, 512, &mut data);
        assert_eq!(data[..32], bytes(begin), "{number:x}");
    }
}

#[test]
fn many_units_at_once_are_as_one_after_the_other() {
    let mut xts = xts();
    for unit in [512, 4096] {
        for units in [1, 2, 3, 17] {
            let mut at_once = plaintext(unit * units);
            let mut single = at_once.clone();
            xts.apply(Way::Encrypt, 5, unit, &mut at_once);
            for (number, bytes) in (5..).zip(single.chunks_exact_mut(unit)) {
                xts.apply(Way::Encrypt, number, unit, bytes);
            }
            assert!(at_once == single, "{units} of {unit}");
            let heads: std::collections::HashSet<_> =
                at_once.chunks_exact(unit).map(|bytes| &bytes[..16]).collect();
            assert_eq!(heads.len(), units, "equal plaintexts look alike in no two units");
            xts.apply(Way::Decrypt, 5, unit, &mut at_once);
            assert_eq!(at_once, plaintext(unit * units));
        }
    }
}
