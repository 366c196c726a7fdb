#define UTS_RELEASE "6.1.176-sunxi"
