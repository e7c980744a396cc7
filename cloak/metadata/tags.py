"""Names of the fields of EXIF and TIFF, and what the telling ones say."""

from cloak.metadata.listing import DATE, DEVICE, DOCUMENT, HISTORY, OTHER, PERSON, PLACE, SOFTWARE, TEXT


def _table(text: str) -> dict[int, str]:
    return {int(number, 16): name for number, name in (pair.split("=") for pair in text.split())}


MAIN = _table(
    """
    000B=ProcessingSoftware  00FE=NewSubfileType  00FF=SubfileType  0100=ImageWidth  0101=ImageLength
    0102=BitsPerSample  0103=Compression  0106=PhotometricInterpretation  0107=Thresholding  0108=CellWidth
    0109=CellLength  010A=FillOrder  010D=DocumentName  010E=ImageDescription  010F=Make  0110=Model
    0111=StripOffsets  0112=Orientation  0115=SamplesPerPixel  0116=RowsPerStrip  0117=StripByteCounts
    0118=MinSampleValue  0119=MaxSampleValue  011A=XResolution  011B=YResolution  011C=PlanarConfiguration
    011D=PageName  0120=FreeOffsets  0121=FreeByteCounts  0122=GrayResponseUnit  0123=GrayResponseCurve
    0124=T4Options  0125=T6Options  0128=ResolutionUnit  0129=PageNumber  012D=TransferFunction  0131=Software
    0132=DateTime  013B=Artist  013C=HostComputer  013D=Predictor  013E=WhitePoint  013F=PrimaryChromaticities
    0140=ColorMap  0141=HalftoneHints  0142=TileWidth  0143=TileLength  0144=TileOffsets  0145=TileByteCounts
    014A=SubIFDs  014C=InkSet  014D=InkNames  014E=NumberOfInks  0150=DotRange  0151=TargetPrinter
    0152=ExtraSamples  0153=SampleFormat  0154=SMinSampleValue  0155=SMaxSampleValue  0156=TransferRange
    0157=ClipPath  0158=XClipPathUnits  0159=YClipPathUnits  015A=Indexed  015B=JPEGTables  015F=OPIProxy
    0190=GlobalParametersIFD  0200=JPEGProc  0201=JPEGInterchangeFormat  0202=JPEGInterchangeFormatLength
    0203=JPEGRestartInterval  0205=JpegLosslessPredictors  0206=JpegPointTransforms  0207=JPEGQTables
    0208=JPEGDCTables  0209=JPEGACTables  0211=YCbCrCoefficients  0212=YCbCrSubSampling  0213=YCbCrPositioning
    0214=ReferenceBlackWhite  02BC=XMP  4746=Rating  4749=RatingPercent  800D=ImageID  828D=CFARepeatPatternDim
    828F=BatteryLevel  8298=Copyright  829A=ExposureTime  829D=FNumber  830E=ModelPixelScale  83BB=IPTC
    8482=ModelTiepoint  85D8=ModelTransformation  8649=Photoshop  8769=ExifIFD  8773=ICCProfile
    87AF=GeoKeyDirectory  87B0=GeoDoubleParams  87B1=GeoAsciiParams  8822=ExposureProgram  8824=SpectralSensitivity
    8825=GPS  8827=ISOSpeedRatings  8828=OECF  8829=Interlace  882A=TimeZoneOffset  882B=SelfTimerMode
    8830=SensitivityType  8831=StandardOutputSensitivity  8832=RecommendedExposureIndex  8833=ISOSpeed
    8834=ISOSpeedLatitudeyyy  8835=ISOSpeedLatitudezzz  9000=ExifVersion  9003=DateTimeOriginal
    9004=DateTimeDigitized  9010=OffsetTime  9011=OffsetTimeOriginal  9012=OffsetTimeDigitized
    9101=ComponentsConfiguration  9102=CompressedBitsPerPixel  9201=ShutterSpeedValue  9202=ApertureValue
    9203=BrightnessValue  9204=ExposureBiasValue  9205=MaxApertureValue  9206=SubjectDistance  9207=MeteringMode
    9208=LightSource  9209=Flash  920A=FocalLength  920D=Noise  9211=ImageNumber  9212=SecurityClassification
    9213=ImageHistory  9216=TIFFEPStandardID  927C=MakerNote  9286=UserComment  9290=SubsecTime
    9291=SubsecTimeOriginal  9292=SubsecTimeDigitized  935C=ImageSourceData  9400=AmbientTemperature  9401=Humidity
    9402=Pressure  9403=WaterDepth  9404=Acceleration  9405=CameraElevationAngle  9C9B=XPTitle  9C9C=XPComment
    9C9D=XPAuthor  9C9E=XPKeywords  9C9F=XPSubject  A000=FlashPixVersion  A001=ColorSpace  A002=ExifImageWidth
    A003=ExifImageHeight  A004=RelatedSoundFile  A005=Interop  A20B=FlashEnergy  A20C=SpatialFrequencyResponse
    A20E=FocalPlaneXResolution  A20F=FocalPlaneYResolution  A210=FocalPlaneResolutionUnit  A214=SubjectLocation
    A215=ExposureIndex  A217=SensingMethod  A300=FileSource  A301=SceneType  A302=CFAPattern  A401=CustomRendered
    A402=ExposureMode  A403=WhiteBalance  A404=DigitalZoomRatio  A405=FocalLengthIn35mmFilm  A406=SceneCaptureType
    A407=GainControl  A408=Contrast  A409=Saturation  A40A=Sharpness  A40B=DeviceSettingDescription
    A40C=SubjectDistanceRange  A420=ImageUniqueID  A430=CameraOwnerName  A431=BodySerialNumber
    A432=LensSpecification  A433=LensMake  A434=LensModel  A435=LensSerialNumber  A436=ImageTitle  A437=Photographer
    A438=ImageEditor  A439=CameraFirmware  A43A=RAWDevelopingSoftware  A43B=ImageEditingSoftware
    A43C=MetadataEditingSoftware  A460=CompositeImage  A461=CompositeImageCount  A462=CompositeImageExposureTimes
    A480=GDALMetadata  A481=GDALNoData  A500=Gamma  C4A5=PrintIM  C612=DNGVersion  C613=DNGBackwardVersion
    C614=UniqueCameraModel  C615=LocalizedCameraModel  C616=CFAPlaneColor  C617=CFALayout  C618=LinearizationTable
    C619=BlackLevelRepeatDim  C61A=BlackLevel  C61B=BlackLevelDeltaH  C61C=BlackLevelDeltaV  C61D=WhiteLevel
    C61E=DefaultScale  C61F=DefaultCropOrigin  C620=DefaultCropSize  C621=ColorMatrix1  C622=ColorMatrix2
    C623=CameraCalibration1  C624=CameraCalibration2  C625=ReductionMatrix1  C626=ReductionMatrix2
    C627=AnalogBalance  C628=AsShotNeutral  C629=AsShotWhiteXY  C62A=BaselineExposure  C62B=BaselineNoise
    C62C=BaselineSharpness  C62D=BayerGreenSplit  C62E=LinearResponseLimit  C62F=CameraSerialNumber  C630=LensInfo
    C631=ChromaBlurRadius  C632=AntiAliasStrength  C633=ShadowScale  C634=DNGPrivateData  C635=MakerNoteSafety
    C65A=CalibrationIlluminant1  C65B=CalibrationIlluminant2  C65C=BestQualityScale  C65D=RawDataUniqueID
    C68B=OriginalRawFileName  C68C=OriginalRawFileData  C68D=ActiveArea  C68E=MaskedAreas  C68F=AsShotICCProfile
    C690=AsShotPreProfileMatrix  C691=CurrentICCProfile  C692=CurrentPreProfileMatrix  C6BF=ColorimetricReference
    C6F3=CameraCalibrationSignature  C6F4=ProfileCalibrationSignature  C6F6=AsShotProfileName
    C6F7=NoiseReductionApplied  C6F8=ProfileName  C6F9=ProfileHueSatMapDims  C6FA=ProfileHueSatMapData1
    C6FB=ProfileHueSatMapData2  C6FC=ProfileToneCurve  C6FD=ProfileEmbedPolicy  C6FE=ProfileCopyright
    C714=ForwardMatrix1  C715=ForwardMatrix2  C716=PreviewApplicationName  C717=PreviewApplicationVersion
    C718=PreviewSettingsName  C719=PreviewSettingsDigest  C71A=PreviewColorSpace  C71B=PreviewDateTime
    C71C=RawImageDigest  C71D=OriginalRawFileDigest  C71E=SubTileBlockSize  C71F=RowInterleaveFactor
    C725=ProfileLookTableDims  C726=ProfileLookTableData  C740=OpcodeList1  C741=OpcodeList2  C74E=OpcodeList3
    C761=NoiseProfile  C764=FrameRate  EA1C=Padding  EA1D=OffsetSchema  FDE8=OwnerName  FDE9=SerialNumber
    """
)
"""TIFF 6.0 and its supplements, Exif 3.0 (CIPA DC-008-2023), DNG 1.7, XP tags, GeoTIFF."""

GPS = _table(
    """
    0000=GPSVersionID  0001=GPSLatitudeRef  0002=GPSLatitude  0003=GPSLongitudeRef  0004=GPSLongitude
    0005=GPSAltitudeRef  0006=GPSAltitude  0007=GPSTimeStamp  0008=GPSSatellites  0009=GPSStatus
    000A=GPSMeasureMode  000B=GPSDOP  000C=GPSSpeedRef  000D=GPSSpeed  000E=GPSTrackRef  000F=GPSTrack
    0010=GPSImgDirectionRef  0011=GPSImgDirection  0012=GPSMapDatum  0013=GPSDestLatitudeRef  0014=GPSDestLatitude
    0015=GPSDestLongitudeRef  0016=GPSDestLongitude  0017=GPSDestBearingRef  0018=GPSDestBearing
    0019=GPSDestDistanceRef  001A=GPSDestDistance  001B=GPSProcessingMethod  001C=GPSAreaInformation
    001D=GPSDateStamp  001E=GPSDifferential  001F=GPSHPositioningError
    """
)
"""Exif 3.0, section 4.6.6."""

INTEROP = _table(
    """
    0001=InteropIndex  0002=InteropVersion  1000=RelatedImageFileFormat  1001=RelatedImageWidth
    1002=RelatedImageHeight
    """
)
"""DCF 2.0 (CIPA DC-009-2010)."""

MPF = _table(
    """
    B000=MPFVersion  B001=NumberOfImages  B002=MPEntry  B003=ImageUIDList  B004=TotalFrames  B101=MPIndividualNum
    B201=PanOrientation  B202=PanOverlapH  B203=PanOverlapV  B204=BaseViewpointNum  B205=ConvergenceAngle
    B206=BaselineLength  B207=VerticalDivergence  B208=AxisDistanceX  B209=AxisDistanceY  B20A=AxisDistanceZ
    B20B=YawAngle  B20C=PitchAngle  B20D=RollAngle
    """
)
"""Multi-Picture Format (CIPA DC-007-2009)."""

FACTS = {
    0x010D: ("document name", DOCUMENT),
    0x010E: ("description", TEXT),
    0x010F: ("camera make", DEVICE),
    0x0110: ("camera model", DEVICE),
    0x011D: ("page name", DOCUMENT),
    0x0131: ("software", SOFTWARE),
    0x0132: ("date modified", DATE),
    0x013B: ("artist", PERSON),
    0x013C: ("host computer", PERSON),
    0x000B: ("software", SOFTWARE),
    0x8298: ("copyright", PERSON),
    0x9003: ("date taken", DATE),
    0x9004: ("date digitised", DATE),
    0x9010: ("time zone", DATE),
    0x9011: ("time zone", DATE),
    0x9012: ("time zone", DATE),
    0x9C9B: ("title", TEXT),
    0x9C9C: ("comment", TEXT),
    0x9C9D: ("author", PERSON),
    0x9C9E: ("keywords", TEXT),
    0x9C9F: ("subject", TEXT),
    0x9286: ("comment", TEXT),
    0xA420: ("image ID", DOCUMENT),
    0xA430: ("owner", PERSON),
    0xA431: ("serial number", PERSON),
    0xA433: ("lens make", DEVICE),
    0xA434: ("lens model", DEVICE),
    0xA435: ("lens serial number", PERSON),
    0xA436: ("title", TEXT),
    0xA437: ("photographer", PERSON),
    0xA438: ("image editor", PERSON),
    0xA439: ("firmware", SOFTWARE),
    0xA43A: ("software", SOFTWARE),
    0xA43B: ("software", SOFTWARE),
    0xA43C: ("software", SOFTWARE),
    0xA480: ("GDAL metadata", OTHER),
    0x87B1: ("map projection", PLACE),
    0xC614: ("camera model", DEVICE),
    0xC62F: ("serial number", PERSON),
    0xC68B: ("original file name", DOCUMENT),
    0xFDE8: ("owner", PERSON),
    0xFDE9: ("serial number", PERSON),
    0xC4A5: ("print settings", HISTORY),
}
"""Fields of text that lead to a person, a device, a time or another document."""

GPS_FACTS = {
    0x0008: ("GPS satellites", OTHER),
    0x001B: ("GPS method", OTHER),
    0x001C: ("GPS area", PLACE),
    0x001D: ("GPS date", DATE),
}


def name(group: str, tag: int) -> str:
    """A field in the standard's words, e.g. "IFD0 0x8298 Copyright"; without a word if the tag is not known."""
    table = {"GPS": GPS, "Interop": INTEROP, "MPF": MPF}.get(group, MAIN)
    return f"{group} 0x{tag:04X} {table.get(tag, '')}".rstrip()
