package x509text

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"strconv"
	"strings"
)

// shortNames are OpenSSL's short names of attributes and algorithms (objects.txt),
// by the arc that their identifiers are in: its last number, then the name.
var shortNames = map[string]string{
	"0.9.2342.19200300.100.1": `1 UID 2 textEncodedORAddress 3 mail 4 info 5 favouriteDrink 6 roomNumber 7 photo 8 userClass 9 host 10 manager
		11 documentIdentifier 12 documentTitle 13 documentVersion 14 documentAuthor 15 documentLocation 20
		homeTelephoneNumber 21 secretary 22 otherMailbox 23 lastModifiedTime 24 lastModifiedBy 25 DC 26 aRecord 27
		pilotAttributeType27 28 mXRecord 29 nSRecord 30 sOARecord 31 cNAMERecord 37 associatedDomain 38 associatedName
		39 homePostalAddress 40 personalTitle 41 mobileTelephoneNumber 42 pagerTelephoneNumber 43 friendlyCountryName
		44 uid 45 organizationalStatus 46 janetMailbox 47 mailPreferenceOption 48 buildingName 49 dSAQuality 50
		singleLevelQuality 51 subtreeMinimumQuality 52 subtreeMaximumQuality 53 personalSignature 54 dITRedirect 55
		audio 56 documentPublisher`,
	"1.2.643.3.131.1":   `1 INN`,
	"1.2.643.100":       `1 OGRN 3 SNILS 5 OGRNIP`,
	"1.2.840.10040.4":   `1 DSA 3 DSA-SHA1`,
	"1.2.840.10045.2":   `1 id-ecPublicKey`,
	"1.2.840.10045.4":   `1 ecdsa-with-SHA1 2 ecdsa-with-Recommended 3 ecdsa-with-Specified`,
	"1.2.840.10045.4.3": `1 ecdsa-with-SHA224 2 ecdsa-with-SHA256 3 ecdsa-with-SHA384 4 ecdsa-with-SHA512`,
	"1.2.840.113549.1.1": `1 rsaEncryption 2 RSA-MD2 3 RSA-MD4 4 RSA-MD5 5 RSA-SHA1 6 rsaOAEPEncryptionSET 7 RSAES-OAEP 8 MGF1 9
		PSPECIFIED 10 RSASSA-PSS 11 RSA-SHA256 12 RSA-SHA384 13 RSA-SHA512 14 RSA-SHA224 15 RSA-SHA512/224 16
		RSA-SHA512/256`,
	"1.2.840.113549.1.3": `1 dhKeyAgreement`,
	"1.2.840.113549.1.9": `1 emailAddress 2 unstructuredName 3 contentType 4 messageDigest 5 signingTime 6 countersignature 7
		challengePassword 8 unstructuredAddress 9 extendedCertificateAttributes 14 extReq 20 friendlyName 21
		localKeyID`,
	"1.3.6.1.4.1.311.60.2.1": `1 jurisdictionL 2 jurisdictionST 3 jurisdictionC`,
	"1.3.14.3.2":             `3 RSA-NP-MD5 13 DSA-SHA 15 RSA-SHA 27 DSA-SHA1-old 29 RSA-SHA1-2`,
	"1.3.101":                `110 X25519 111 X448 112 ED25519 113 ED448`,
	"2.5.4": `3 CN 4 SN 5 serialNumber 6 C 7 L 8 ST 9 street 10 O 11 OU 12 title 13 description 14 searchGuide 15
		businessCategory 16 postalAddress 17 postalCode 18 postOfficeBox 19 physicalDeliveryOfficeName 20
		telephoneNumber 21 telexNumber 22 teletexTerminalIdentifier 23 facsimileTelephoneNumber 24 x121Address 25
		internationaliSDNNumber 26 registeredAddress 27 destinationIndicator 28 preferredDeliveryMethod 29
		presentationAddress 30 supportedApplicationContext 31 member 32 owner 33 roleOccupant 34 seeAlso 35
		userPassword 36 userCertificate 37 cACertificate 38 authorityRevocationList 39 certificateRevocationList 40
		crossCertificatePair 41 name 42 GN 43 initials 44 generationQualifier 45 x500UniqueIdentifier 46 dnQualifier
		47 enhancedSearchGuide 48 protocolInformation 49 distinguishedName 50 uniqueMember 51 houseIdentifier 52
		supportedAlgorithms 53 deltaRevocationList 54 dmdName 65 pseudonym 72 role 97 organizationIdentifier 98 c3 99
		n3 100 dnsName`,
	"2.5.8.3": `100 RSA-MDC2 101 MDC2`,
	"2.16.840.1.101.3.4.3": `1 dsa_with_SHA224 2 dsa_with_SHA256 3 id-dsa-with-sha384 4 id-dsa-with-sha512 5 id-dsa-with-sha3-224 6
		id-dsa-with-sha3-256 7 id-dsa-with-sha3-384 8 id-dsa-with-sha3-512 9 id-ecdsa-with-sha3-224 10
		id-ecdsa-with-sha3-256 11 id-ecdsa-with-sha3-384 12 id-ecdsa-with-sha3-512 13
		id-rsassa-pkcs1-v1_5-with-sha3-224 14 id-rsassa-pkcs1-v1_5-with-sha3-256 15 id-rsassa-pkcs1-v1_5-with-sha3-384
		16 id-rsassa-pkcs1-v1_5-with-sha3-512`,
}

// names are the same by the identifier's DER contents.
var names = func() map[string]string {
	m := make(map[string]string)
	for arc, text := range shortNames {
		for w := strings.Fields(text); len(w) > 0; w = w[2:] {
			m[string(identifier(arc+"."+w[0]))] = w[1]
		}
	}
	return m
}()

// identifier gives the DER contents of a dotted identifier, which must be a
// valid one.
func identifier(dotted string) []byte {
	var id asn1.ObjectIdentifier
	for s := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.Atoi(s)
		if err != nil {
			panic(err)
		}
		id = append(id, n)
	}
	der, err := asn1.Marshal(id)
	if err != nil {
		panic(err)
	}
	return der[2:]
}

// KeyName names the kind of a certificate's key and its size in bits, as HAProxy
// does: "RSA2048", "EC256". It is "" for kinds that HAProxy has no name for.
func KeyName(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return "RSA" + strconv.Itoa(k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC" + strconv.Itoa(k.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "ED25519"
	}
	return ""
}
