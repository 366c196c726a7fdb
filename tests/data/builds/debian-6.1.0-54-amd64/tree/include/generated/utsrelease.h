#define UTS_RELEASE "6.1.0-54-amd64"
