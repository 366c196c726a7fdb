#define UTS_RELEASE "6.1.176-rockchip-rk3588"
